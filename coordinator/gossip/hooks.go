package gossip

import (
	"cmp"
	"context"
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

// hooks is what memberlist calls. Nothing in it waits: memberlist calls some of it
// from its packet loop and some with its own lock held, so it must not call back
// either.
type hooks struct {
	self   meta
	name   string
	board  *coordinator.SharedState
	log    *slog.Logger
	bridge *logBridge
	inbox  chan []byte
	queue  memberlist.TransmitLimitedQueue

	dropped, rejected, returned atomic.Int64
	joining                     atomic.Int32 // joins of this node under way

	mu      sync.Mutex
	service string // where this node serves the others
	members map[string]coordinator.Member
	gone    map[string]string // address of members that vanished, by name
	refused map[string]error  // nodes refused, by name, each logged once
	refusal error             // the latest one
	taken   string            // address of another node of our name
}

// Bounds of what is remembered and queued.
const (
	maxInbox   = 1024 // a burst of one message per node of a large fleet
	maxQueue   = 1024 // broadcasts waiting; the oldest go, push/pull brings them
	maxRefused = 1024
)

func newHooks(self meta, name string, board *coordinator.SharedState, log *slog.Logger) *hooks {
	h := &hooks{
		self: self, name: name, board: board, log: log,
		bridge:  &logBridge{to: log},
		inbox:   make(chan []byte, maxInbox),
		members: map[string]coordinator.Member{}, gone: map[string]string{}, refused: map[string]error{},
	}
	h.queue.NumNodes = h.numNodes
	return h
}

// install puts the hooks into memberlist's configuration.
func (h *hooks) install(c *memberlist.Config) {
	h.queue.RetransmitMult = c.RetransmitMult
	c.Delegate, c.Events, c.Merge, c.Alive, c.Conflict = h, h, h, h, h
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
	if h.board == nil {
		return nil
	}
	return h.board.Encode()
}

// MergeRemoteState takes the whole state of another node.
func (h *hooks) MergeRemoteState(b []byte, _ bool) { h.merge(b) }

// merge joins encoded state; it reports what it held if that was news.
func (h *hooks) merge(b []byte) (*coordinator.State, bool) {
	s, err := coordinator.DecodeState(b)
	if err != nil {
		h.rejected.Add(1)
		h.log.Debug("rejected a message", "err", err)
		return nil, false
	}
	changed, err := h.board.Merge(s)
	if err != nil {
		h.rejected.Add(1)
		h.log.Debug("rejected a message", "err", err)
	}
	return s, changed
}

// NotifyMerge refuses to join with nodes of another plan.
func (h *hooks) NotifyMerge(nodes []*memberlist.Node) error {
	for _, n := range nodes {
		if n.State != memberlist.StateAlive {
			continue
		}
		if err := h.self.admit(n.Name, nodeAddr(n), n.Meta); err != nil {
			h.refuse(n.Name, err)
			return err
		}
	}
	return nil
}

// NotifyAlive refuses news of nodes of another plan.
func (h *hooks) NotifyAlive(n *memberlist.Node) error {
	err := h.self.admit(n.Name, nodeAddr(n), n.Meta)
	if err != nil {
		h.refuse(n.Name, err)
	}
	return err
}

// refuse remembers that a node was refused, and logs it unless this node is joining: then the join says so.
func (h *hooks) refuse(name string, err error) {
	h.rejected.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusal = err
	if h.joining.Load() > 0 {
		return
	}
	if _, known := h.refused[name]; known || len(h.refused) >= maxRefused {
		return
	}
	h.refused[name] = err
	h.log.Warn("refused a node", "reason", err)
}

// NotifyConflict is told of two nodes of one name.
func (h *hooks) NotifyConflict(existing, other *memberlist.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if existing.Name == h.name {
		h.taken = nodeAddr(other)
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
	if h.board != nil {
		h.board.Touch()
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
		Dropped: h.dropped.Load(), Rejected: h.rejected.Load(),
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
