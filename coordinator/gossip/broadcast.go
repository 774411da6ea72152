package gossip

import (
	"slices"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// Sizes of broadcasts. A packet holds 1400 bytes and memberlist's own messages go
// first, so a broadcast should leave room; what is larger waits for push/pull.
const (
	maxBroadcast = 1000
	// maxPacket bounds what is taken as one; it may come by TCP, too.
	maxPacket = 1400
	// doneChunk units take at most 4 bytes each.
	doneChunk = 128
	// maxDoneNews is the most units announced by broadcast: a first listing of a
	// resumed run is known to all anyway.
	maxDoneNews = 1024
)

// message is a broadcast. One with a name replaces the one queued before under the
// same name: of a node, only the latest word is worth sending.
type message struct {
	name string
	body []byte
}

// Invalidates reports whether m makes other needless.
func (m *message) Invalidates(other memberlist.Broadcast) bool {
	o, ok := other.(*named)
	return ok && m.name != "" && o.name == m.name
}

// Message returns the bytes to send.
func (m *message) Message() []byte { return m.body }

// Finished is told that the message will not be sent any more.
func (m *message) Finished() {}

// named is a message that replaces its predecessors.
type named struct{ message }

// Name returns the name.
func (m *named) Name() string { return m.name }

// unique is a message that stands for itself.
type unique struct{ message }

// UniqueBroadcast marks the message as such.
func (m *unique) UniqueBroadcast() {}

// broadcast queues a delta: units done as messages of their own, so that a node's
// next word does not replace them.
func (h *hooks) broadcast(plan string, units int, d coordinator.Delta) {
	if len(d.Done) <= maxDoneNews {
		for chunk := range slices.Chunk(d.Done, doneChunk) {
			h.enqueue("", coordinator.EncodeDelta(plan, units, coordinator.Delta{Done: chunk}))
		}
	}
	for _, n := range d.Nodes {
		h.enqueue(string(n.Node), coordinator.EncodeDelta(plan, units, coordinator.Delta{Nodes: []coordinator.NodeState{n}}))
	}
}

// relay queues a received message for others.
func (h *hooks) relay(s *coordinator.State, body []byte) {
	name := ""
	if nodes := s.Nodes(); len(nodes) == 1 && s.NumDone() == 0 {
		name = string(nodes[0].Node)
	}
	h.enqueue(name, body)
}

func (h *hooks) enqueue(name string, body []byte) {
	if len(body) > maxBroadcast {
		return
	}
	if name != "" {
		h.queue.QueueBroadcast(&named{message{name, body}})
	} else {
		h.queue.QueueBroadcast(&unique{message{"", body}})
	}
	h.queue.Prune(maxQueue)
}
