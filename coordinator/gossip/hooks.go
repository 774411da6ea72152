package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// hooks is what memberlist calls, through a boundary. Nothing in it waits: memberlist
// calls some of it from its packet loop and some with its own lock held, so it must not
// call back either.
type hooks struct {
	*complaints
	self   meta
	name   string
	state  *coordinator.SharedState // nil for an observer
	bridge *logBridge
	inbox  chan []byte
	queue  memberlist.TransmitLimitedQueue

	dropped, rejected, returned atomic.Int64
	joining                     atomic.Int32 // joins of this node under way

	mu      sync.Mutex
	service string // where this node serves the others
	members map[string]coordinator.Member
	gone    map[string]string // address of members that vanished, by name
	refused map[string]bool   // nodes refused, by name, each logged once
	refusal error             // the latest one
	taken   string            // address of another node of our name
}

// Bounds of what is remembered and queued.
const (
	maxInbox   = 1024 // a burst of one message per node of a large fleet
	maxQueue   = 1024 // broadcasts waiting; the oldest go, push/pull brings them
	maxRefused = 1024
)

func newHooks(self meta, name string, state *coordinator.SharedState, log *slog.Logger) *hooks {
	c := newComplaints(log)
	h := &hooks{
		complaints: c, self: self, name: name, state: state, bridge: &logBridge{complaints: c},
		inbox:   make(chan []byte, maxInbox),
		members: map[string]coordinator.Member{}, gone: map[string]string{}, refused: map[string]bool{},
	}
	h.queue.NumNodes = h.numNodes
	return h
}

// numNodes counts the members, which sets how often a broadcast is repeated.
func (h *hooks) numNodes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(1, len(h.members))
}

// NodeMeta returns this node's introduction.
func (h *hooks) NodeMeta(int) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.self
	m.service = h.service
	return m.encode()
}

// NotifyMsg takes a broadcast; it is read later by receive.
func (h *hooks) NotifyMsg(b []byte) {
	if len(b) > maxPacket {
		h.complain(somebody, fmt.Errorf("a broadcast of %d bytes, at most %d", len(b), maxPacket))
		return
	}
	select {
	case h.inbox <- slices.Clone(b):
	default:
		h.dropped.Add(1)
	}
}

// GetBroadcasts returns what to send with the next packet.
func (h *hooks) GetBroadcasts(overhead, limit int) [][]byte {
	return h.queue.GetBroadcasts(overhead, limit)
}

// LocalState returns the whole state, for a push/pull.
func (h *hooks) LocalState(bool) []byte {
	return h.state.Encode()
}

// MergeRemoteState takes the whole state of another node.
func (h *hooks) MergeRemoteState(b []byte, _ bool) { h.merge(b) }

// merge joins encoded state; it reports what it held and whether that was news.
func (h *hooks) merge(b []byte) (s *coordinator.State, news bool) {
	_ = h.guard(somebody, func() (err error) { // which counts what cannot be read
		if s, err = coordinator.DecodeState(b); err != nil {
			return err
		}
		if news, err = h.state.Merge(s); err != nil {
			h.rejected.Add(1)
			h.log.Debug("rejected a message", "err", err)
		}
		return nil
	})
	return s, news
}

// NotifyMerge refuses to join with nodes of another plan.
func (h *hooks) NotifyMerge(nodes []*memberlist.Node) error {
	for _, n := range nodes {
		if n.State != memberlist.StateAlive {
			continue
		}
		if err := h.admit(n); err != nil {
			return err
		}
	}
	return nil
}

// NotifyAlive refuses news of nodes of another plan.
func (h *hooks) NotifyAlive(n *memberlist.Node) error { return h.admit(n) }

// admit checks a node's introduction against our own.
func (h *hooks) admit(n *memberlist.Node) error {
	err := h.self.admit(n)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		if _, known := h.members[n.Name]; !known && len(h.members) >= coordinator.MaxNodes {
			err = fmt.Errorf("node %s: %w: there are %d members already", n.Name, errMeta, len(h.members))
		}
	}
	if err != nil {
		h.refusal = err
	}
	if errors.Is(err, coordinator.ErrOtherPlan) {
		h.refuse(n.Name, err)
	}
	return err
}

// refuse counts a node of another plan, and logs it once, unless this node is joining: then the join says so.
// h.mu is held.
func (h *hooks) refuse(name string, err error) {
	h.rejected.Add(1)
	if h.joining.Load() > 0 || h.refused[name] || len(h.refused) >= maxRefused {
		return
	}
	h.refused[name] = true
	h.log.Warn("refused a node", "reason", err)
}

// NotifyConflict is told of two nodes of one name.
func (h *hooks) NotifyConflict(existing, other *memberlist.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if existing.Name == h.name {
		h.taken = nodeAddr(other)
	}
	if !h.once("conflict " + existing.Name) {
		return
	}
	h.log.Warn("two nodes have the same id", "node", existing.Name, "addr", nodeAddr(existing), "other", nodeAddr(other))
}

// NotifyJoin notes a member.
func (h *hooks) NotifyJoin(n *memberlist.Node) {
	h.note(n)
	h.mu.Lock()
	if _, ok := h.gone[n.Name]; ok {
		delete(h.gone, n.Name)
		h.returned.Add(1)
	}
	h.mu.Unlock()
	h.log.Debug("node joined", "node", n.Name, "addr", nodeAddr(n))
	h.touch()
}

// NotifyUpdate notes a member's new introduction.
func (h *hooks) NotifyUpdate(n *memberlist.Node) {
	h.note(n)
	h.touch()
}

// NotifyLeave forgets a member.
func (h *hooks) NotifyLeave(n *memberlist.Node) {
	h.mu.Lock()
	m := h.members[n.Name]
	delete(h.members, n.Name)
	if !m.Observer && n.Name != h.name && len(h.gone) < coordinator.MaxNodes {
		h.gone[n.Name] = nodeAddr(n)
	}
	h.mu.Unlock()
	h.log.Debug("node left or died", "node", n.Name, "addr", nodeAddr(n))
	h.touch()
}

func (h *hooks) note(n *memberlist.Node) {
	m, _ := decodeMeta(n.Meta)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members[n.Name] = coordinator.Member{Node: coordinator.NodeID(n.Name), Addr: nodeAddr(n), Host: m.host, Service: m.service, Observer: m.observer}
}

func (h *hooks) touch() {
	if h.state != nil {
		h.state.Touch()
	}
}

// alive returns the members by id.
func (h *hooks) alive() []coordinator.Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.members), func(a, b coordinator.Member) int { return cmp.Compare(a.Node, b.Node) })
}

// goneAddrs returns the addresses of members that vanished without saying that
// they leave.
func (h *hooks) goneAddrs(s *coordinator.State) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for name, addr := range h.gone {
		if n, _ := s.Node(coordinator.NodeID(name)); !n.Left {
			out = append(out, addr)
		}
	}
	return out
}

func (h *hooks) stats() Stats {
	return Stats{
		Dropped: h.dropped.Load(), Bad: h.bad.Load(), Rejected: h.rejected.Load(),
		Refuted: h.bridge.refuted.Load(), Returned: h.returned.Load(),
	}
}

// receive reads broadcasts and passes on what is news. It ends with ctx.
func (h *hooks) receive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-h.inbox:
			if s, news := h.merge(b); news {
				h.relay(s, b)
			}
		}
	}
}

func nodeAddr(n *memberlist.Node) string {
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}
