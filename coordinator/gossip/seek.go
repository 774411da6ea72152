package gossip

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"actfleet/coordinator"
)

// seeker looks for the nodes that a fleet should have and has not, for ever: seeds that did not answer yet, and members
// that were lost.
type seeker struct {
	*Fleet
	joiner *joiner
	said   string // kind of the trouble last logged; empty for none
}

// seek tries now and then, so that parts of a fleet that lost each other merge again; more often at first, when this node
// may just have been the first to start. It ends with ctx.
func (s *seeker) seek(ctx context.Context) {
	every := s.cfg.Preset.rejoin()
	for pause := min(maxPause, every); ; pause = min(2*pause, every) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(pause)):
		}
		s.rejoin(ctx)
		if err := s.solitude(ctx); ctx.Err() == nil {
			s.say(err)
		}
	}
}

// solitude is why this node is alone although it was given seeds, nil if it is not.
func (s *seeker) solitude(ctx context.Context) error {
	if len(s.nodes()) > 1 || len(s.cfg.Join) == 0 {
		return nil
	}
	_, err := s.joiner.round(ctx)
	return err
}

// rejoin tries a few of those who are missing.
func (s *seeker) rejoin(ctx context.Context) {
	s.joiner.each(ctx, s.lost(ctx), func(addr string, err error) bool {
		if err != nil {
			s.log.Debug("still cannot reach a node", "addr", addr, "err", err)
		}
		return true
	})
}

// nodes are the members that work, this one included.
func (s *seeker) nodes() []coordinator.Member {
	return slices.DeleteFunc(s.Members(), func(m coordinator.Member) bool { return m.Observer })
}

// say logs that this node is alone, or is not any more, once per change.
func (s *seeker) say(err error) {
	was := s.said
	if s.said = trouble(err); s.said == was {
		return
	}
	seeds := strings.Join(s.cfg.Join, ", ")
	switch s.said {
	case "": // whoever read of the trouble should read of its end
		s.log.Warn("found the fleet", "join", seeds, "nodes", len(s.nodes()))
	case "refused":
		s.log.Warn("the fleet refuses this node, which works alone and keeps trying", "join", seeds, "err", err)
	default:
		s.log.Warn("no other node answers; this one works alone and keeps trying", "join", seeds, "err", err)
	}
}

// trouble is the kind of an error: a change of it is worth a line, an address or port in its text is not.
func trouble(err error) string {
	var unknown *net.DNSError
	switch {
	case err == nil:
		return ""
	case fatal(err):
		return "refused"
	case errors.As(err, &unknown):
		return "unknown name"
	}
	return "no answer"
}

// maxTries bounds the addresses of one rejoin.
const maxTries = 3

// lost returns a few addresses of seeds and members not in the membership now.
func (s *seeker) lost(ctx context.Context) []string {
	want := map[string]bool{}
	seeds, _ := resolveAll(ctx, s.cfg.Join)
	for _, a := range seeds {
		want[a] = true
	}
	for _, a := range s.hooks.goneAddrs(s.state.State()) {
		want[a] = true
	}
	delete(want, s.addr)
	for _, m := range s.Members() {
		delete(want, m.Addr)
	}
	addrs := slices.Sorted(maps.Keys(want))
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs[:min(len(addrs), maxTries)]
}
