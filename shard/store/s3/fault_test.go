package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"actfleet/shard/store"
	"actfleet/shard/store/retry"
	"actfleet/shard/store/s3"
	"actfleet/shard/store/s3/s3test"
	"actfleet/shard/store/storetest"
)

// proxy stands before a server and harms some requests.
type proxy struct {
	target string
	mu     sync.Mutex
	rng    *rand.Rand
	seen   map[string]int // how often each kind of harm was done
}

func newProxy(t *testing.T, target string) *proxy {
	p := &proxy{target: target, rng: rand.New(rand.NewPCG(1, 2)), seen: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	t.Setenv("ACTFLEET_S3_ENDPOINT", server.URL)
	return p
}

// chance is true in percent of 100 calls.
func (p *proxy) chance(percent int, kind string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.IntN(100) >= percent {
		return false
	}
	p.seen[kind]++
	return true
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	write := r.Method == http.MethodPut
	switch {
	case p.chance(1, "request lost"):
		panic(http.ErrAbortHandler)
	case write && p.chance(2, "409"):
		refuse(w, http.StatusConflict, "ConditionalRequestConflict")
		return
	case p.chance(2, "503"):
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	if write && p.chance(5, "PUT delivered twice") {
		if _, err := p.forward(r, body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	a, err := p.forward(r, body)
	if err != nil || p.chance(1, "answer lost") || write && p.chance(5, "answer to a PUT lost") {
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	if len(a.body) > 1 && p.chance(1, "answer cut") {
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

func (p *proxy) forward(r *http.Request, body []byte) (answer, error) {
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

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants</Message></Error>", code)
}

// The whole suite holds when requests and answers are lost, doubled, cut and refused.
func TestFaults(t *testing.T) {
	server := s3test.Start(t, bucket)
	p := newProxy(t, server.URL())
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		cfg := config()
		cfg.Connect = cfg.Retry
		return retry.Wrap(open(t, cfg, fmt.Sprint("run", n.Add(1))), cfg.Retry)
	})
	t.Log(p.seen)
	if len(p.seen) < 6 {
		t.Errorf("only these faults happened: %v", p.seen)
	}
}

// Nodes that compute one unit write the same bytes: still only one of them may have won.
func TestSameBytesOneWinner(t *testing.T) {
	server := s3test.Start(t, bucket)
	newProxy(t, server.URL())
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	cfg := config()
	cfg.Connect = cfg.Retry
	s := open(t, cfg, "run")
	for round := range 20 {
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := store.Put(t.Context(), s, fmt.Sprint("acts/", round), []byte("the same"))
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := wins.Load(); n != 1 {
			t.Errorf("round %d: %d winners", round, n)
		}
	}
}

// fake answers every request in one way.
func fake(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Setenv("ACTFLEET_S3_ENDPOINT", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
}

func wantLine(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, word := range append(says, "fleet") {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q does not say %q in one line", err, word)
		}
	}
}

func TestNoCondition(t *testing.T) {
	fake(t, func(http.ResponseWriter, *http.Request) {})
	_, err := s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "ignores If-None-Match", "overwrite")
}

func TestRefusals(t *testing.T) {
	for code, says := range map[string]string{
		"InvalidAccessKeyId": "AWS_ACCESS_KEY_ID", "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY", "AccessDenied": "may not",
		"ExpiredToken": "expired", "NoSuchBucket": "does not exist", "RequestTimeTooSkewed": "clock", "AuthorizationHeaderMalformed": "AWS_REGION",
	} {
		t.Run(code, func(t *testing.T) {
			requests := 0
			fake(t, func(w http.ResponseWriter, _ *http.Request) { requests++; refuse(w, http.StatusForbidden, code) })
			for _, readOnly := range []bool{false, true} {
				cfg := config()
				cfg.ReadOnly = readOnly
				_, err := s3.Open(t.Context(), "s3://fleet/run", cfg)
				wantLine(t, err, code, says)
			}
			if requests > 2 {
				t.Errorf("asked %d times what will not change", requests)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	for _, address := range []string{"", "s3://", "s3:/fleet/run", "s3://fl/run", "s3://Fleet/run", "s3://fleet//run", "s3://fleet/a/../b", "s3://fleet/.hidden", "http://fleet/run", "s3://fleet/a\nb"} {
		if s, err := s3.Open(t.Context(), address, config()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, %v", address, s, err)
		}
	}
	for _, endpoint := range []string{"127.0.0.1:9000", "ftp://host", "http://host/path", "http://"} {
		t.Setenv("ACTFLEET_S3_ENDPOINT", endpoint)
		_, err := s3.Open(t.Context(), "s3://fleet/run", config())
		wantLine(t, err, "endpoint", "http://HOST:PORT")
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	_, err := s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "no S3 credentials", "AWS_ACCESS_KEY_ID")
}

// What a real server says to a wrong key, a bucket that is not there, and one that vanishes.
func TestRealRefusals(t *testing.T) {
	server := s3test.Start(t, bucket)
	s := open(t, config(), "run")
	_, err := s3.Open(t.Context(), "s3://fleet-elsewhere/run", config())
	wantLine(t, err, "NoSuchBucket")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	_, err = s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "secret key is wrong")
	if err := server.DropBucket(bucket); err != nil {
		t.Fatal(err)
	}
	wantLine(t, store.Put(t.Context(), s, "k", nil), "NoSuchBucket")
	server.Kill()
	_, err = s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "refused")
}
