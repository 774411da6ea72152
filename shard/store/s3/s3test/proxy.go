package s3test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Faults says how many of a hundred requests suffer what.
type Faults struct {
	RequestLost   int // the server never sees it
	Conflict      int // a PUT is answered 409, and not passed on
	Busy          int // answered 503, and not passed on
	Twice         int // a PUT is delivered a second time, and answered as that one is
	AnswerLost    int // done, and the connection is cut
	PutAnswerLost int // the same for a PUT
	Cut           int // half of the answer comes
}

// Proxy stands before a server and harms some requests.
type Proxy struct {
	target string
	faults Faults
	server *httptest.Server
	mu     sync.Mutex
	rng    *rand.Rand
	seen   map[string]int
}

// NewProxy listens at addr and passes on what it does not harm to the server at the URL target. It ends with the test.
func NewProxy(t *testing.T, addr, target string, f Faults) *Proxy {
	t.Helper()
	p := &Proxy{target: target, faults: f, rng: rand.New(rand.NewPCG(1, 2)), seen: map[string]int{}}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Listener.Close()
	p.server.Listener = l
	p.server.Start()
	t.Cleanup(p.server.Close)
	return p
}

// URL is the proxy's endpoint.
func (p *Proxy) URL() string { return p.server.URL }

// Seen returns how often each kind of harm was done.
func (p *Proxy) Seen() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.seen)
}

// chance is true in percent of 100 calls.
func (p *Proxy) chance(percent int, kind string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.IntN(100) >= percent {
		return false
	}
	p.seen[kind]++
	return true
}

// ServeHTTP passes a request on, or not.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f, write := p.faults, r.Method == http.MethodPut
	switch {
	case p.chance(f.RequestLost, "request lost"):
		panic(http.ErrAbortHandler)
	case write && p.chance(f.Conflict, "409"):
		Refuse(w, http.StatusConflict, "ConditionalRequestConflict")
		return
	case p.chance(f.Busy, "503"):
		Refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	if write && p.chance(f.Twice, "PUT delivered twice") {
		if _, err := p.forward(r, body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	a, err := p.forward(r, body)
	if err != nil || p.chance(f.AnswerLost, "answer lost") || write && p.chance(f.PutAnswerLost, "answer to a PUT lost") {
		panic(http.ErrAbortHandler)
	}
	p.reply(w, a)
}

func (p *Proxy) reply(w http.ResponseWriter, a answer) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	if len(a.body) > 1 && p.chance(p.faults.Cut, "answer cut") {
		w.Write(a.body[:len(a.body)/2])
		panic(http.ErrAbortHandler)
	}
	w.Write(a.body)
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) forward(r *http.Request, body []byte) (answer, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	out.Header, out.Host = r.Header.Clone(), r.Host // both are signed
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

// Refuse answers with an error as S3 does.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants</Message></Error>", code)
}
