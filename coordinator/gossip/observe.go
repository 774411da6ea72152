package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// Snapshot is what a fleet knows, seen from outside.
type Snapshot struct {
	// State is the gossiped state; State.Plan and State.Units tell the run.
	State *coordinator.State
	// Members are the nodes alive now, without observers; Member.Silent says which do not answer.
	Members []coordinator.Member
	// Bad counts the messages that this observer could not read.
	Bad int64
}

// Progress sums the snapshot up; one without a State is empty.
func (s Snapshot) Progress(now time.Time) coordinator.Progress {
	if s.State == nil {
		return coordinator.Progress{ETA: -1}
	}
	p := coordinator.Summarize(s.State, s.Members, "", now)
	p.Bad = s.Bad
	return p
}

// Observer looks at a fleet without taking part.
type Observer struct {
	list  *memberlist.Memberlist
	hooks *listener
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu     sync.Mutex
	silent map[coordinator.NodeID]time.Time // members that do not answer, and since when
}

// peekTime bounds a Peek: one dial and one exchange.
const peekTime = 10 * time.Second

// Peek asks a running fleet, by the address of any member, for its state once. It
// knows nothing of the plan beforehand. Errors: ErrNobody, ErrSecret.
func Peek(ctx context.Context, addrs []string, secret []byte) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, peekTime)
	defer cancel()
	o, err := Observe(ctx, addrs, secret, slog.New(slog.DiscardHandler))
	if err != nil {
		return Snapshot{}, err
	}
	o.pingAll(ctx)
	return o.Snapshot(), o.Close()
}

// Observe joins a fleet as an observer, trying each address once. Its nodes see the
// observer and give it no work.
func Observe(ctx context.Context, addrs []string, secret []byte, log *slog.Logger) (*Observer, error) {
	if len(addrs) == 0 {
		return nil, errors.New("observe a fleet: no address given")
	}
	for _, a := range addrs {
		if err := validAddress("join", a); err != nil {
			return nil, err
		}
	}
	if err := validSecret(secret); err != nil {
		return nil, err
	}
	o, err := listenAsObserver(ctx, addrs, secret, log)
	if err != nil {
		return nil, err
	}
	if err := o.join(ctx, addrs); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func listenAsObserver(ctx context.Context, addrs []string, secret []byte, log *slog.Logger) (*Observer, error) {
	host, _, err := bindAddress(ctx, "", addrs)
	if err != nil {
		return nil, err
	}
	name, _ := os.Hostname()
	name = coordinator.Printable(name)
	o := &Observer{silent: map[coordinator.NodeID]time.Time{}}
	id := fmt.Sprintf("observer-%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
	o.hooks = &listener{hooks: newHooks(meta{host: name[:min(len(name), maxMetaName)], observer: true}, id, nil, log)}
	// The slow preset: an observer must not be the first to call anybody dead. Who is silent it finds by itself.
	mc := Production.settings()
	mc.ProbeTimeout = pingWait
	mc.Name, mc.BindAddr, mc.BindPort, mc.SecretKey = id, host, 0, secret
	mc.Logger = o.hooks.bridge.logger()
	boundary{o.hooks, o.hooks.complaints}.install(mc)
	if o.list, err = memberlist.Create(mc); err != nil {
		return nil, bindError(host, 0, err)
	}
	run, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.work.Go(func() { o.ping(run) })
	return o, nil
}

// join takes the first address that answers: several might be of different fleets.
func (o *Observer) join(ctx context.Context, addrs []string) error {
	j := &joiner{list: o.list, hooks: o.hooks.hooks}
	ips, errs := resolveAll(ctx, addrs)
	ctx, found := context.WithCancel(ctx)
	defer found()
	j.each(ctx, ips, func(_ string, err error) bool {
		if errs = append(errs, err); err == nil && o.Snapshot().State != nil || fatal(err) {
			found()
		}
		return false
	})
	if o.Snapshot().State != nil {
		return nil
	}
	if err := firstFatal(errs); err != nil {
		return err
	}
	last := first(errs)
	return fmt.Errorf("%w at %s: %w", ErrNobody, strings.Join(addrs, ", "), last)
}

// Snapshot returns what the fleet last told.
func (o *Observer) Snapshot() Snapshot {
	s := Snapshot{State: o.hooks.last(), Bad: o.hooks.bad.Load()}
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.members() {
		if since, ok := o.silent[m.Node]; ok {
			m.Silent = now.Sub(since)
		}
		s.Members = append(s.Members, m)
	}
	return s
}

// members are the nodes that work.
func (o *Observer) members() []coordinator.Member {
	return slices.DeleteFunc(o.hooks.alive(), func(m coordinator.Member) bool { return m.Observer })
}

// Close leaves the fleet.
func (o *Observer) Close() error {
	o.stop()
	o.work.Wait()
	o.list.Leave(leaveWait) // a farewell that does not arrive costs nothing
	if err := o.list.Shutdown(); err != nil {
		return fmt.Errorf("leave the fleet: %w", err)
	}
	return nil
}

// listener is what memberlist calls of an observer, which passes nothing on.
type listener struct {
	*hooks

	mu    sync.Mutex
	state *coordinator.State // nil until a member has told
}

// NotifyMsg takes a change of the state.
func (l *listener) NotifyMsg(b []byte) { l.MergeRemoteState(b, false) }

// GetBroadcasts returns nothing.
func (l *listener) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState returns nothing.
func (l *listener) LocalState(bool) []byte { return nil }

// MergeRemoteState takes a state; the first one decides the plan.
func (l *listener) MergeRemoteState(b []byte, join bool) {
	_ = l.guard(somebody, func() error { // which counts what cannot be read
		s, err := coordinator.DecodeState(b)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.state == nil && join {
			l.state = s
		} else if l.state != nil {
			l.state.Merge(s) // of another plan: ignored
		}
		return nil
	})
}

// last is a copy of the state, nil while none is known.
func (l *listener) last() *coordinator.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil {
		return nil
	}
	return l.state.Clone()
}

// An observer asks each member itself whether it is there: the fleet's own detector takes up to half a minute, on
// purpose, in which a dead node would be shown at work.
const (
	pingEvery = time.Second
	pingWait  = time.Second
	pingTries = 2 // a packet may be lost
	// maxPings bounds the pings under way.
	maxPings = 128
)

// ping asks the members again and again, until ctx ends.
func (o *Observer) ping(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pingEvery):
			o.pingAll(ctx)
		}
	}
}

// pingAll asks all members once and returns when they have answered, or had the time to.
func (o *Observer) pingAll(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, maxPings)
	for _, m := range o.members() {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		all.Go(func() {
			began := time.Now()
			o.note(m.Node, o.answers(m), began)
			<-slots
		})
	}
}

// answers reports whether a member answers.
func (o *Observer) answers(m coordinator.Member) bool {
	addr, err := net.ResolveUDPAddr("udp", m.Addr)
	if err != nil {
		return false
	}
	for range pingTries {
		if _, err := o.list.Ping(string(m.Node), addr); err == nil {
			return true
		}
	}
	return false
}

// note remembers whether a member answered what it was asked at a time.
func (o *Observer) note(node coordinator.NodeID, answered bool, asked time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if answered {
		delete(o.silent, node)
	} else if _, already := o.silent[node]; !already && len(o.silent) < coordinator.MaxNodes {
		o.silent[node] = asked
	}
}
