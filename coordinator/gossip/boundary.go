package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// delegate is all that memberlist calls of a node or an observer.
type delegate interface {
	memberlist.Delegate
	memberlist.EventDelegate
	memberlist.MergeDelegate
	memberlist.AliveDelegate
	memberlist.ConflictDelegate
}

// boundary stands between memberlist and a delegate, and is the only thing of ours that
// memberlist calls: whatever a message does to its reader costs that message and no more.
type boundary struct {
	to delegate
	*complaints
}

// install puts the boundary into memberlist's configuration.
func (b boundary) install(mc *memberlist.Config) {
	mc.Delegate, mc.Events, mc.Merge, mc.Alive, mc.Conflict = b, b, b, b, b
}

// somebody is the sender of a message that memberlist hands over without one.
const somebody = "somebody who reaches this node's port"

// NodeMeta returns this node's introduction.
func (b boundary) NodeMeta(limit int) (meta []byte) {
	_ = b.guard("this node", func() error {
		if meta = b.to.NodeMeta(limit); len(meta) > limit {
			meta = nil
		}
		return nil
	})
	return meta
}

// NotifyMsg takes a broadcast.
func (b boundary) NotifyMsg(msg []byte) {
	_ = b.guard(somebody, func() error { b.to.NotifyMsg(msg); return nil })
}

// GetBroadcasts returns what to send with the next packet.
func (b boundary) GetBroadcasts(overhead, limit int) (out [][]byte) {
	_ = b.guard("this node", func() error { out = b.to.GetBroadcasts(overhead, limit); return nil })
	return out
}

// LocalState returns the whole state, for a push/pull.
func (b boundary) LocalState(join bool) (state []byte) {
	_ = b.guard("this node", func() error { state = b.to.LocalState(join); return nil })
	return state
}

// MergeRemoteState takes the whole state of another node.
func (b boundary) MergeRemoteState(state []byte, join bool) {
	_ = b.guard(somebody, func() error { b.to.MergeRemoteState(state, join); return nil })
}

// NotifyMerge decides whether to join with nodes.
func (b boundary) NotifyMerge(nodes []*memberlist.Node) error {
	return b.guard(somebody, func() error { return b.to.NotifyMerge(nodes) })
}

// NotifyAlive decides whether to believe news of a node.
func (b boundary) NotifyAlive(n *memberlist.Node) error {
	return b.guard(sender(n), func() error { return b.to.NotifyAlive(n) })
}

// NotifyConflict is told of two nodes of one name.
func (b boundary) NotifyConflict(existing, other *memberlist.Node) {
	_ = b.guard(sender(other), func() error { b.to.NotifyConflict(existing, other); return nil })
}

// NotifyJoin notes a member.
func (b boundary) NotifyJoin(n *memberlist.Node) {
	_ = b.guard(sender(n), func() error { b.to.NotifyJoin(n); return nil })
}

// NotifyUpdate notes a member's new introduction.
func (b boundary) NotifyUpdate(n *memberlist.Node) {
	_ = b.guard(sender(n), func() error { b.to.NotifyUpdate(n); return nil })
}

// NotifyLeave forgets a member.
func (b boundary) NotifyLeave(n *memberlist.Node) {
	_ = b.guard(sender(n), func() error { b.to.NotifyLeave(n); return nil })
}

// sender names the node that a message is about, which mostly sent it.
func sender(n *memberlist.Node) string {
	if len(n.Name) > coordinator.MaxNameLen || !knownAddr(n) {
		return somebody
	}
	return coordinator.Printable(n.Name) + " at " + nodeAddr(n)
}

func knownAddr(n *memberlist.Node) bool { return len(n.Addr) == 4 || len(n.Addr) == 16 }

// complaints counts the messages that could not be read and logs them, once per sender.
type complaints struct {
	log *slog.Logger
	bad atomic.Int64

	mu   sync.Mutex
	told map[string]bool
}

// maxTold bounds the lines about messages, since whoever sends them may invent senders.
const maxTold = 64

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, told: map[string]bool{}}
}

// once reports whether something is said for the first time, and few enough things were.
func (c *complaints) once(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told[what] || len(c.told) >= maxTold {
		return false
	}
	c.told[what] = true
	return true
}

// complain counts a message that cannot be read.
func (c *complaints) complain(sender string, err error) {
	c.bad.Add(1)
	if c.once("bad " + sender) {
		c.log.Warn("a message that cannot be read was dropped; more of this sender are counted only",
			"sender", sender, "reason", coordinator.Printable(err.Error()))
	}
}

// guard lets a message be handled: a panic becomes an error, and a message that cannot be read a complaint.
func (c *complaints) guard(sender string, handle func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errMessage, v)
		}
		if errors.Is(err, errMessage) || errors.Is(err, errMeta) || errors.Is(err, coordinator.ErrDecode) {
			c.complain(sender, err)
		}
	}()
	return handle()
}

// errMessage means that a message made its reader fail, and should have been refused before.
var errMessage = errors.New("its reader failed")
