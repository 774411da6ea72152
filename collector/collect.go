package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"actfleet/coordinator"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Fleet decides which unit this node works on (package coordinator).
type Fleet interface {
	Next(ctx context.Context) (unit int, err error)
	// Overtaken waits until another node has committed the unit, by what the store says, or until ctx ends.
	Overtaken(ctx context.Context, unit int) bool
	Done(unit int, took time.Duration, won bool)
	Drop(unit int)
}

// Config is one node's part of a run.
type Config struct {
	Node  string // this node's name in the run
	Store store.Store
	Plan  run.Plan
	Input Prompts
	Model Model
	Fleet Fleet
	// Lanes says how many batches may now go through the model side by side.
	Lanes func() int
	// Encode and Token are the bpe's: text to ids without special tokens, and id to readable text.
	Encode func(text string) []int32
	Token  func(id int32) string
	// Stop, when it ends, keeps Collect from beginning another unit: it finishes those it has and returns Stop's
	// error. Drop, when it ends, also drops the unit being computed. Nil: never.
	Stop, Drop context.Context
	// Observe receives what happens, in order, from one goroutine at a time; it must not block.
	Observe func(Event)
	// Now is the clock of events and timings.
	Now func() time.Time
}

// Summary is what one node did.
type Summary struct {
	Won, Lost int   // units committed first by this node; units another node committed first
	Overtaken int   // units dropped half-way because another node had committed them
	Rows      int64 // in the units won
	Bytes     int64
	Answers   *Answers // nil without choices
}

// Event is one line of RUN/log/<node>-<start>.jsonl: provenance and timings for people and pictures.
// Events are start, claim, commit, lost (another node was first), overtaken (it was first while this one computed, which
// then dropped the unit), drop, wait (for a reader of a ring), memory (a GPU has too little for a batch), leave and error;
// a node that was killed has no leave, and a claim without an end. After each batch there is also progress,
// which is not written to the log.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Node    string    `json:"node"`
	Host    string    `json:"host,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Unit    *int      `json:"unit,omitempty"`
	Rows    int64     `json:"rows,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"`
	Seconds float64   `json:"seconds,omitempty"` // from claim to commit
	Message string    `json:"msg,omitempty"`

	Progress *Progress `json:"-"` // of an event progress
}

// Progress is how far a unit is.
type Progress struct {
	Prompts int     // that have gone through the model
	Of      int     // the unit's
	Batch   int     // prompts of the batch that is just done
	Part    float64 // of the unit's work that is done, by token positions computed: 0 to 1
}

// Collect works until every unit of the plan is committed, by this node or others. It returns
// ErrNonFinite, ErrOverflow, ErrDiverged, the context's cause, or what the store and the model say.
func Collect(ctx context.Context, cfg Config) (Summary, error) {
	us, err := newUnits(cfg)
	if err != nil {
		return Summary{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer us.close()
	c := &collection{cfg: cfg, units: us, fail: cancel}
	us.tell = func(text string) { c.observe(Event{Event: "memory", Message: text}) }
	err = c.work(ctx)
	c.commits.Wait()
	if us.choices != nil {
		c.sum.Answers = us.choices.said.summary(cfg.Token)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return c.sum, err
}

// collection is the state of one Collect: the unit being committed runs beside the one being computed.
type collection struct {
	cfg     Config
	units   *units
	groups  *groups // for the plan's own schema, made by the first unit and used by all: fresh memory costs more than packing
	fail    context.CancelCauseFunc
	commits sync.WaitGroup // at most one commit runs at a time
	mu      sync.Mutex     // orders events and guards sum
	sum     Summary
}

// work takes one unit after another; reaching the end of the plan is success.
func (c *collection) work(ctx context.Context) error {
	stop := orNever(c.cfg.Stop)
	next, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	for {
		if err := stop.Err(); err != nil {
			return err
		}
		u, err := c.cfg.Fleet.Next(next)
		if errors.Is(err, coordinator.ErrComplete) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.unit(ctx, u); err != nil {
			if err := c.giveUp(u, err); err != nil {
				return err
			}
		}
	}
}

// orNever is a context, or for nil one that never ends.
func orNever(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// unit hands u's batches to the lanes and leaves the rest of it, to its commit, running.
func (c *collection) unit(ctx context.Context, u int) error {
	began := c.cfg.Now()
	c.observe(Event{Event: "claim", Unit: &u})
	schema := c.cfg.Plan.Schema()
	if c.groups == nil {
		count, err := c.units.groupCount()
		if err != nil {
			return err
		}
		c.groups = newGroups(schema, count)
	}
	finish, err := c.compute(ctx, task{unit: u, key: run.UnitKey(u), schema: schema, groups: c.groups,
		progress: func(p Progress) { c.observe(Event{Event: "progress", Unit: &u, Progress: &p}) }})
	if err != nil {
		return err
	}
	c.commits.Wait()
	c.commits.Go(func() {
		if err := c.commit(ctx, u, began, finish); err != nil {
			if err := c.giveUp(u, err); err != nil {
				c.fail(err)
			}
		}
	})
	return nil
}

// errOvertaken ends the work on a unit that another node has committed meanwhile.
var errOvertaken = errors.New("another node was first")

// compute is units.compute for a unit that another node may be at as well: once that one has committed it, what is left
// is not computed any more, and this or the returned function returns errOvertaken and leaves nothing.
func (c *collection) compute(ctx context.Context, t task) (func() (written, error), error) {
	ctx, unwatch := c.watch(ctx, t.unit)
	finish, err := c.units.compute(ctx, t)
	if err != nil {
		return nil, unwatch(err)
	}
	return func() (written, error) {
		w, err := finish()
		over := unwatch(err)
		if err == nil && over != nil {
			over = errors.Join(over, w.pending.Abort())
		}
		return w, over
	}, nil
}

// watch returns a context that ends when another node has committed unit u. The returned function ends the watch, lest
// this node's own commit be taken for another's. Given how the work ended, it returns errOvertaken if that was in vain,
// and otherwise the same error.
func (c *collection) watch(ctx context.Context, u int) (context.Context, func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if c.cfg.Fleet.Overtaken(ctx, u) {
			cancel(errOvertaken)
		}
	}()
	return ctx, func(err error) error {
		cancel(nil)
		<-watched
		if context.Cause(ctx) == errOvertaken && (err == nil || errors.Is(err, context.Canceled)) {
			return errOvertaken
		}
		return err
	}
}

// commit finishes a unit and tells the fleet and the log how that ended. Having lost the race is no error,
// unless the winner's shard is another one.
func (c *collection) commit(ctx context.Context, u int, began time.Time, finish func() (written, error)) error {
	footer, err := put(ctx, u, finish)
	if err == nil {
		err = c.late(ctx, u)
	}
	took := c.cfg.Now().Sub(began)
	e := Event{Event: "commit", Unit: &u, Rows: footer.Rows, Bytes: footer.Size, Seconds: took.Seconds()}
	if errors.Is(err, store.ErrExists) {
		e.Event, e.Message = "lost", "duplicate, identical"
		err = c.compare(ctx, u, footer)
	}
	if err != nil {
		return err
	}
	c.cfg.Fleet.Done(u, took, e.Event == "commit")
	c.observe(e)
	return nil
}

// put finishes a unit's file and puts it under its final key if no other is there.
func put(ctx context.Context, u int, finish func() (written, error)) (shard.Footer, error) {
	w, err := finish()
	if err != nil {
		return shard.Footer{}, err
	}
	if err := w.pending.Commit(ctx); err != nil {
		return w.footer, errors.Join(fmt.Errorf("commit unit %d: %w", u, err), w.pending.Abort())
	}
	return w.footer, nil
}

// giveUp drops a unit that came to nothing, and returns err unless that was because another node was first.
func (c *collection) giveUp(u int, err error) error {
	c.cfg.Fleet.Drop(u)
	if errors.Is(err, errOvertaken) {
		c.observe(Event{Event: "overtaken", Unit: &u})
		return nil
	}
	c.observe(Event{Event: "drop", Unit: &u, Message: err.Error()})
	return err
}

// observe counts what happened and passes it on.
func (c *collection) observe(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Event {
	case "commit":
		c.sum.Won++
		c.sum.Rows += e.Rows
		c.sum.Bytes += e.Bytes
	case "lost":
		c.sum.Lost++
	case "overtaken":
		c.sum.Overtaken++
	}
	e.Time = c.cfg.Now()
	c.cfg.Observe(e)
}
