package rendezvous

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"actfleet/coordinator"
)

// ErrRefused means that the others do not let this node in.
var ErrRefused = errors.New("refused by the others")

// ErrOver means that the others have done the job while this node waited.
var ErrOver = errors.New("the others have ended the job")

// ErrAlone means that not enough ranks came in time.
var ErrAlone = errors.New("the other ranks did not come")

// lookAgain is how often a node that gathers asks the members again.
const lookAgain = 200 * time.Millisecond

// askOver is how often a node that gathers asks whether the job is done.
const askOver = time.Second

// Gather finds a group for this node and returns when it starts. again says that this node comes from a group that was
// lost: then the leader does not wait for all ranks for longer than its patience. Errors: ErrOver, ErrRefused, ErrAlone.
func (p *Place) Gather(ctx context.Context, again bool) (*Group, error) {
	began, told, asked := time.Now(), "", time.Time{}
	for {
		if p.cfg.Over != nil && time.Since(asked) > askOver {
			if p.cfg.Over() {
				return nil, ErrOver
			}
			asked = time.Now()
		}
		w, at, err := p.seek(ctx, again)
		if err != nil {
			return nil, err
		}
		if w != nil {
			if g, err := p.await(ctx, w, at); g != nil || err != nil {
				return g, err
			}
			continue
		}
		g, missing := p.lead(again, time.Since(began))
		if g != nil {
			return g, nil
		}
		line := fmt.Sprintf("waiting for %d more of %d ranks", missing, p.cfg.Ranks)
		if p.cfg.Within > 0 {
			if time.Since(began) > p.cfg.Within {
				return nil, fmt.Errorf("%w: %d of %d are missing after %s", ErrAlone, missing, p.cfg.Ranks, p.cfg.Within)
			}
			line += " until " + began.Add(p.cfg.Within).Format(time.DateTime)
		}
		if line != told {
			p.cfg.Tell(line)
			told = line
		}
		if err := p.pause(ctx); err != nil {
			return nil, err
		}
	}
}

func (p *Place) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.news:
	case <-time.After(lookAgain):
	}
	return nil
}

// seek asks the members for one to follow, the least id first; without any, w is nil. A refusal ends the search only
// when nobody answers otherwise: one stranger among the members cannot keep the others apart.
func (p *Place) seek(ctx context.Context, again bool) (w *wire, at string, err error) {
	members := slices.Clone(p.cfg.Members())
	slices.SortFunc(members, func(a, b coordinator.Member) int { return cmp.Compare(a.Node, b.Node) })
	welcome := false
	for _, m := range members {
		if m.Node == p.cfg.Node || m.Service == "" {
			continue
		}
		if p.leads(m.Node) {
			welcome = true
			continue
		}
		at = m.Service
		w, answer := p.ask(ctx, at, again)
		if answer.Goto != "" && answer.Goto != p.Addr() {
			at = answer.Goto
			w, answer = p.ask(ctx, at, again)
		}
		if w != nil {
			return w, at, nil
		}
		welcome = welcome || answer.Lead
		if answer.Refuse != "" && err == nil {
			err = fmt.Errorf("%w: node %s at %s says: %s", ErrRefused, m.Node, at, answer.Refuse)
		}
	}
	if err != nil && !welcome {
		return nil, "", err
	}
	return nil, "", ctx.Err()
}

// leads tells whether a node follows this one.
func (p *Place) leads(node coordinator.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.waiting, func(f *follower) bool { return f.hello.Node == node })
}

// ask introduces this node at an address; w is nil unless it may wait there. Who does not answer is passed over.
func (p *Place) ask(ctx context.Context, addr string, again bool) (w *wire, answer message) {
	conn, err := (&net.Dialer{Timeout: askWait}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, message{}
	}
	w = newWire(conn)
	first, err := w.receive(askWait)
	if err == nil {
		err = w.send(message{Hello: &hello{Node: p.cfg.Node, Host: p.cfg.Host, Job: p.cfg.Job, Again: again,
			MAC: mac(p.cfg.Secret, first.Nonce, p.cfg.Node)}})
	}
	if err == nil {
		answer, err = w.receive(askWait)
	}
	if err != nil || !answer.Wait {
		w.Close()
		return nil, answer
	}
	return w, answer
}

// await follows a leader until it starts a group; nil when it does not.
func (p *Place) await(ctx context.Context, w *wire, at string) (*Group, error) {
	p.follow(at)
	stop := context.AfterFunc(ctx, func() { w.Close() })
	defer stop()
	m, err := w.receive(0)
	if m.Over {
		return nil, errors.Join(ErrOver, w.Close())
	}
	if err != nil || m.Start == nil {
		w.Close()
		p.follow("")
		return nil, ctx.Err()
	}
	g := newGroup(p, *m.Start)
	g.up = w
	g.work.Go(g.hear)
	return g, nil
}

// lead starts a group if enough ranks are here; else it says how many are missing.
func (p *Place) lead(again bool, since time.Duration) (g *Group, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(p.waiting, func(a, b *follower) int { return cmp.Compare(a.hello.Node, b.hello.Node) })
	for _, f := range p.waiting {
		again = again || f.hello.Again
	}
	if missing = p.cfg.Ranks - 1 - len(p.waiting); missing > 0 && !(again && since > p.cfg.Patience) {
		return nil, missing
	}
	chosen := p.waiting[:min(len(p.waiting), p.cfg.Ranks-1)]
	s := start{Nodes: []coordinator.NodeID{p.cfg.Node}, Hosts: []string{p.cfg.Host}}
	for _, f := range chosen {
		s.Nodes, s.Hosts = append(s.Nodes, f.hello.Node), append(s.Hosts, f.hello.Host)
	}
	g = newGroup(p, s)
	g.down = slices.Clone(chosen)
	p.waiting = slices.Clone(p.waiting[len(chosen):])
	p.leading = true
	for i, f := range g.down {
		f.rank, f.group = i+1, g
		s.Rank = f.rank
		if err := f.send(message{Start: &s}); err != nil {
			f.Close() // which its reader finds out
		}
	}
	return g, 0
}
