package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	// Members are the nodes alive now, without observers.
	Members []coordinator.Member
}

// Progress sums the snapshot up.
func (s Snapshot) Progress(now time.Time) coordinator.Progress {
	return coordinator.Summarize(s.State, s.Members, "", now)
}

// Observer looks at a fleet without taking part.
type Observer struct {
	list  *memberlist.Memberlist
	hooks *hooks

	mu    sync.Mutex
	state *coordinator.State
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
	o := &Observer{}
	id := fmt.Sprintf("observer-%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
	o.hooks = newHooks(meta{host: name[:min(len(name), maxMetaName)], observer: true}, id, nil, log)
	// The slow preset: an observer must not be the first to call anybody dead.
	mc := Production.settings()
	mc.Name, mc.BindAddr, mc.BindPort, mc.SecretKey = id, host, 0, secret
	mc.Logger = o.hooks.bridge.logger()
	o.hooks.install(mc)
	mc.Delegate = o
	if o.list, err = memberlist.Create(mc); err != nil {
		return nil, bindError(host, 0, err)
	}
	return o, nil
}

// join takes the first address that answers: several might be of different fleets.
func (o *Observer) join(ctx context.Context, addrs []string) error {
	j := &joiner{list: o.list, hooks: o.hooks}
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
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Snapshot{}
	if o.state != nil {
		s.State = o.state.Clone()
	}
	for _, m := range o.hooks.alive() {
		if !m.Observer {
			s.Members = append(s.Members, m)
		}
	}
	return s
}

// Close leaves the fleet.
func (o *Observer) Close() error {
	o.list.Leave(leaveWait) // a farewell that does not arrive costs nothing
	if err := o.list.Shutdown(); err != nil {
		return fmt.Errorf("leave the fleet: %w", err)
	}
	return nil
}

// NodeMeta, NotifyMsg, GetBroadcasts, LocalState and MergeRemoteState are called by
// memberlist. An observer passes nothing on.

// NodeMeta returns the introduction as an observer.
func (o *Observer) NodeMeta(n int) []byte { return o.hooks.NodeMeta(n) }

// NotifyMsg takes a change of the state.
func (o *Observer) NotifyMsg(b []byte) { o.MergeRemoteState(b, false) }

// GetBroadcasts returns nothing.
func (o *Observer) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState returns nothing.
func (o *Observer) LocalState(bool) []byte { return nil }

// MergeRemoteState takes a state; the first one decides the plan.
func (o *Observer) MergeRemoteState(b []byte, join bool) {
	s, err := coordinator.DecodeState(b)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == nil && join {
		o.state = s
	} else if o.state != nil {
		o.state.Merge(s) // of another plan: ignored
	}
}
