package rendezvous

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"actfleet/coordinator"
)

// Config says who this node is and whom it looks for.
type Config struct {
	Node    coordinator.NodeID
	Host    string
	Members func() []coordinator.Member // the fleet as gossip shows it
	Job     []string                    // what is to be done, in lines; nodes with another job are refused
	Secret  []byte                      // of the fleet; empty without
	Ranks   int                         // of the first group; later ones may have fewer
	// Patience is how long a leader waits for more ranks when a group was lost.
	Patience time.Duration
	// Within is how long a node gathers before it gives up, while nobody leads it; 0 is for ever.
	Within time.Duration
	// Over tells, where a node can see it by itself, that the job is done; nil where it cannot.
	Over func() bool
	Tell func(line string) // is told what a person should know
}

// Place is this node's door to the others.
type Place struct {
	cfg    Config
	listen net.Listener
	work   sync.WaitGroup

	mu      sync.Mutex
	waiting []*follower     // those that follow this node
	leader  string          // address of the node it follows, or that leads its group; "" when it leads or has none
	leading bool            // a group
	strange map[string]bool // machines whose messages could not be read
	news    chan struct{}   // gets a value when waiting has changed
	closed  bool
}

// follower is another node that this one leads, or may lead.
type follower struct {
	*wire
	hello hello
	rank  int
	group *Group // nil while it waits
	done  bool   // needs no other rank any more
}

// New opens a place on a listener, which it closes.
func New(cfg Config, listen net.Listener) *Place {
	p := &Place{cfg: cfg, listen: listen, news: make(chan struct{}, 1), strange: map[string]bool{}}
	p.work.Go(p.serve)
	return p
}

// Addr is where the place is, for Member.Service.
func (p *Place) Addr() string { return p.listen.Addr().String() }

// Close ends the place and all that waits at it.
func (p *Place) Close() error {
	err := p.listen.Close()
	p.mu.Lock()
	p.closed = true
	for _, f := range p.waiting {
		f.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
	return err
}

// Dismiss tells those who wait here that the job is done.
func (p *Place) Dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.waiting {
		_ = f.send(message{Over: true}) // who does not hear it sees the connection end
	}
}

func (p *Place) serve() {
	for {
		conn, err := p.listen.Accept()
		if err != nil {
			return // closed
		}
		p.work.Go(func() { p.welcome(newWire(conn)) })
	}
}

// maxStrange bounds the lines about messages that cannot be read.
const maxStrange = 64

// complain says of the first message of a machine that cannot be read that it was dropped.
func (p *Place) complain(w *wire, err error) {
	if !errors.Is(err, errMessage) {
		return // the connection ended
	}
	host, _, _ := net.SplitHostPort(w.RemoteAddr().String())
	p.mu.Lock()
	known := p.strange[host] || len(p.strange) >= maxStrange
	if !known {
		p.strange[host] = true
	}
	p.mu.Unlock()
	if !known {
		p.cfg.Tell(fmt.Sprintf("hung up on %s: %v", host, err))
	}
}

// welcome answers a node that has connected, and hears what it says from then on.
func (p *Place) welcome(w *wire) {
	defer w.Close()
	nonce, err := newNonce()
	if err != nil || w.send(message{Nonce: nonce}) != nil {
		return
	}
	m, err := w.receive(askWait)
	if err == nil && m.Hello == nil {
		err = fmt.Errorf("%w: no introduction", errMessage)
	}
	if err != nil {
		p.complain(w, err)
		return
	}
	f := &follower{wire: w, hello: *m.Hello}
	answer := p.answer(f, nonce)
	if err := w.send(answer); err != nil || !answer.Wait {
		p.forget(f)
		return
	}
	p.hear(f)
	p.forget(f)
}

// answer decides about a node that has come.
func (p *Place) answer(f *follower, nonce []byte) message {
	if want := mac(p.cfg.Secret, nonce, f.hello.Node); !hmac.Equal(want, f.hello.MAC) {
		return message{Refuse: "it has another secret; give every node the same --secret-file, or none"}
	}
	if d := difference(p.cfg.Job, f.hello.Job); d != "" {
		return message{Refuse: "it does another job: " + d}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return message{Lead: true}
	case p.leader != "":
		return message{Goto: p.leader}
	case !p.leading && f.hello.Node < p.cfg.Node:
		return message{Lead: true}
	case len(p.waiting) >= maxRanks:
		return message{Refuse: fmt.Sprintf("%d nodes wait here already", len(p.waiting))}
	}
	p.waiting = append(p.waiting, f)
	p.signal()
	return message{Wait: true}
}

// difference is the lines in which jobs differ, theirs first.
func difference(ours, theirs []string) string {
	only := func(a, b []string) string {
		var out []string
		for _, line := range a {
			if !slices.Contains(b, line) && len(out) < 3 {
				out = append(out, line)
			}
		}
		return strings.Join(out, ", ")
	}
	a, b := only(ours, theirs), only(theirs, ours)
	if a == "" && b == "" {
		return ""
	}
	return fmt.Sprintf("%s there, %s here", cmp.Or(a, "less"), cmp.Or(b, "less"))
}

// hear takes what a follower says until it ends.
func (p *Place) hear(f *follower) {
	for {
		m, err := f.receive(0)
		p.mu.Lock()
		g := f.group
		p.mu.Unlock()
		if err != nil {
			p.complain(f.wire, err)
			if g != nil {
				g.lost(f.rank, "")
			}
			return
		}
		if g != nil {
			g.take(f, m)
		}
	}
}

// forget takes a follower off the waiting ones.
func (p *Place) forget(f *follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(o *follower) bool { return o == f })
	p.signal()
}

// signal says that waiting has changed; p.mu is held.
func (p *Place) signal() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// follow makes this node follow a leader: those who wait here have to look for another one.
func (p *Place) follow(leader string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = leader
	if leader != "" {
		for _, f := range p.waiting {
			f.Close()
		}
	}
}

func newNonce() ([]byte, error) {
	nonce := make([]byte, 16)
	_, err := io.ReadFull(rand.Reader, nonce)
	return nonce, err
}
