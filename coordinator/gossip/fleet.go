package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// Fleet is this node's membership in a fleet.
type Fleet struct {
	cfg   Config
	log   *slog.Logger
	state *coordinator.SharedState
	list  *memberlist.Memberlist
	hooks *hooks
	addr  string

	stop   context.CancelFunc
	work   sync.WaitGroup
	closed sync.Once
}

var _ coordinator.Peers = (*Fleet)(nil)

// Start binds the address, joins the fleet and returns. When Join is empty, or
// holds this node's own address and nobody else answers, the node starts a fleet of
// its own. When nobody answers within JoinFor it says so, goes on alone, and tries until
// Close. Errors: ErrAddress, ErrSecret, ErrNameTaken, coordinator.ErrOtherPlan. The
// context bounds Start only.
func Start(ctx context.Context, cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("join the fleet: %w", err)
	}
	f := &Fleet{cfg: cfg, log: cfg.logger(), state: coordinator.NewSharedState(cfg.PlanID, cfg.Units)}
	f.hooks = newHooks(meta{plan: cfg.PlanID, host: cfg.Host}, string(cfg.Node), f.state, f.log)
	if err := f.listen(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.work.Go(func() { f.hooks.receive(run) })
	j := &joiner{list: f.list, hooks: f.hooks, self: f.addr, seeds: cfg.Join, patience: cmp.Or(cfg.JoinFor, DefaultJoinFor)}
	s := seeker{Fleet: f, joiner: j}
	alone, err := j.join(ctx)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.say(alone)
	f.work.Go(func() { s.seek(run) })
	return f, nil
}

// listen opens the sockets and starts memberlist, knowing nobody yet.
func (f *Fleet) listen(ctx context.Context) error {
	host, port, err := bindAddress(ctx, f.cfg.Bind, f.cfg.Join)
	if err != nil {
		return err
	}
	mc := f.cfg.Preset.settings()
	mc.Name, mc.BindAddr, mc.BindPort, mc.AdvertisePort = string(f.cfg.Node), host, port, port
	mc.SecretKey = f.cfg.Secret
	mc.Logger = f.hooks.bridge.logger()
	f.hooks.queue.RetransmitMult = mc.RetransmitMult
	boundary{f.hooks, f.hooks.complaints}.install(mc)
	if f.cfg.adjust != nil {
		f.cfg.adjust(mc)
	}
	if f.list, err = memberlist.Create(mc); err != nil {
		return bindError(host, port, err)
	}
	f.addr = f.list.LocalNode().Address()
	if len(f.cfg.Secret) == 0 && !isLoopback(f.addr) {
		f.log.Warn("the fleet has no secret: whoever reaches this port can join it", "addr", f.addr)
	}
	return nil
}

// Addr returns the address others can join by, "ip:port".
func (f *Fleet) Addr() string { return f.addr }

// introduceWait is how long Introduce waits for the news to be sent.
const introduceWait = 2 * time.Second

// Introduce tells the members where this node serves them (Member.Service).
func (f *Fleet) Introduce(service string) error {
	if len(service) > maxService {
		return fmt.Errorf("the address %.20s… of %d bytes is too long to be shown to the fleet", service, len(service))
	}
	f.hooks.mu.Lock()
	f.hooks.service = service
	f.hooks.mu.Unlock()
	if err := f.list.UpdateNode(introduceWait); err != nil {
		return fmt.Errorf("tell the fleet where this node serves: %w", err)
	}
	return nil
}

// Members returns the nodes alive now, this one included, by node id.
func (f *Fleet) Members() []coordinator.Member { return f.hooks.alive() }

// Publish joins a delta into the state here and broadcasts it.
func (f *Fleet) Publish(d coordinator.Delta) {
	if f.state.Apply(d) {
		f.hooks.broadcast(f.cfg.PlanID, f.cfg.Units, d)
	}
}

// State returns a copy of the state.
func (f *Fleet) State() *coordinator.State { return f.state.State() }

// Done reports whether somebody has said that a unit is committed.
func (f *Fleet) Done(unit int) bool { return f.state.Done(unit) }

// Changed returns a channel that is closed at the next change of state or
// membership.
func (f *Fleet) Changed() <-chan struct{} { return f.state.Changed() }

// Stats counts what happened to this node since Start.
type Stats struct {
	// Dropped are messages that came faster than they could be read.
	Dropped int64
	// Bad are messages that could not be read: of another version, damaged, or not ours at all.
	Bad int64
	// Rejected are messages of another plan.
	Rejected int64
	// Refuted counts how often this node heard that it is dead and said it is not.
	Refuted int64
	// Returned counts members that came back after they had been declared dead.
	Returned int64
	// Health is 0 for a node that answers in time, more for a starved one.
	Health int
}

// Stats returns the counters.
func (f *Fleet) Stats() Stats {
	s := f.hooks.stats()
	s.Health = f.list.GetHealthScore()
	return s
}

// leaveWait is how long Close waits for its farewell to be sent: a few gossip
// intervals.
const leaveWait = 2 * time.Second

// Close leaves the fleet and ends all goroutines. It may be called again.
func (f *Fleet) Close() (err error) {
	f.closed.Do(func() {
		f.stop()
		if leave := f.list.Leave(leaveWait); leave != nil {
			f.log.Debug("left without saying so", "err", leave)
		}
		if err = f.list.Shutdown(); err != nil {
			err = fmt.Errorf("leave the fleet: %w", err)
		}
		f.work.Wait()
	})
	return err
}

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
