package collector

import (
	"context"
	"fmt"
	"sort"
	"sync"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// Model is what the collector needs of a language model.
type Model interface {
	Info() model.Info
	Width(t tap.Tap) int
	Forward(ctx context.Context, r model.Request) (logits [][]float32, err error)
	Prefix(ctx context.Context, r model.Request) (*model.Prefix, error)
}

// units is what all units of one plan are computed with.
type units struct {
	plan     run.Plan
	planID   string
	input    *dataset.Input
	model    Model
	store    store.Store
	drop     context.Context // ends the passes of the unit being computed
	taps     []tap.Tap       // of plan.Vectors, in order
	rule     tap.Rule
	choices  *choices // nil when the plan has none
	scalars  scalars
	lanes    *lanes
	prefixes prefixes
}

func newUnits(cfg Config) (*units, error) {
	us := &units{plan: cfg.Plan, planID: cfg.Plan.ID(), input: cfg.Input, model: cfg.Model, store: cfg.Store, drop: orNever(cfg.Drop),
		scalars: scalars{columns: cfg.Plan.Scalars, input: cfg.Input, token: cfg.Token}, lanes: newLanes(cfg.Lanes)}
	rule, err := tap.ParseRule(cfg.Plan.Tokens)
	if err != nil {
		return nil, err
	}
	us.rule = rule
	for _, v := range cfg.Plan.Vectors {
		t, _, ok := tap.ParseColumn(v.Name)
		if !ok || cfg.Model.Width(t) != v.Width {
			return nil, fmt.Errorf("plan column %s of width %d does not fit model %s", v.Name, v.Width, cfg.Model.Info().Name)
		}
		us.taps = append(us.taps, t)
	}
	us.choices, err = parseChoices(cfg.Plan.Choices, cfg.Encode)
	return us, err
}

// close ends what the units of a run leave behind.
func (us *units) close() { us.prefixes.last.leave() }

// batch is the prompts that go through the model together, by their index in the input.
type batch struct {
	prompts []int
	prefix  int // tokens that all prompts of the unit begin with and that are computed once
	steps   int // padded length T, the prefix's tokens among it
}

// computed is how many positions a pass over the batch computes, pads and all.
func (b batch) computed() int { return len(b.prompts) * (b.steps - b.prefix) }

// batches cuts unit u into batches. A prompt costs the tokens computed for it or the positions kept of
// it, whichever are more.
func (us *units) batches(u int) []batch {
	lo, hi := us.plan.UnitRange(u)
	prefix := sharedPrefix(us.input, int(lo), int(hi))
	work := cutBatches(us.input, int(lo), int(hi), us.plan.BatchTokens, us.cost(prefix))
	for i := range work {
		work[i].prefix = prefix
	}
	return work
}

// cost is what a prompt of n tokens costs of the budget.
func (us *units) cost(prefix int) func(n int) int {
	return func(n int) int { return max(n-prefix, len(us.rule.Positions(n))) }
}

// cutBatches cuts prompts [lo, hi) of the input into batches: sorted by length, shortest first and stable, as
// many as fit the budget when each costs as much as the longest of them. A prompt that costs more than the
// budget is a batch of its own. The result is a function of the lengths alone.
func cutBatches(in *dataset.Input, lo, hi, budget int, cost func(n int) int) []batch {
	order := make([]int, 0, hi-lo)
	for prompt := lo; prompt < hi; prompt++ {
		order = append(order, prompt)
	}
	length := func(i int) int { return len(in.IDs[order[i]]) }
	sort.SliceStable(order, func(i, j int) bool { return length(i) < length(j) })
	var out []batch
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && (end-start+1)*cost(length(end)) <= budget {
			end++
		}
		out = append(out, batch{prompts: order[start:end], steps: length(end - 1)})
		start = end
	}
	return out
}

// kept is where the positions that become rows stand in the batch, as b·T + t, prompts in order and positions
// ascending.
func (us *units) kept(b batch) []int32 {
	var kept []int32
	for i, prompt := range b.prompts {
		for _, pos := range us.rule.Positions(len(us.input.IDs[prompt])) {
			kept = append(kept, int32(i*b.steps+pos))
		}
	}
	return kept
}

// groupCount is how many row groups the node needs in memory: those that the batches in the lanes can
// touch, one being written and one on its way to the writer.
func (us *units) groupCount() int {
	most := 0 // rows of a batch
	for u := range us.plan.NumUnits() {
		lo, hi := us.plan.UnitRange(u)
		cost := us.cost(sharedPrefix(us.input, int(lo), int(hi)))
		for _, ids := range us.input.IDs[lo:hi] {
			n := len(ids)
			most = max(most, max(1, us.plan.BatchTokens/cost(n))*len(us.rule.Positions(n)))
		}
	}
	return groupsTouched(us.lanes.count()*most) + 2
}

// forward takes a batch through the model, after its unit's prefix.
func (us *units) forward(ctx context.Context, b batch, p *prefix, emit func(i int, v model.View) error) ([][]float32, error) {
	ids := make([][]int32, len(b.prompts))
	for i, prompt := range b.prompts {
		ids[i] = us.input.IDs[prompt][b.prefix:]
	}
	return us.model.Forward(ctx, model.Request{IDs: ids, After: p.after(), Taps: us.taps, Emit: emit, Logits: us.choices != nil})
}

// lanes let batches go through the model side by side, each on one thread of its own: threads that share
// a batch wait for each other after every operator, and for the writer whenever it takes one's core.
type lanes struct {
	limit func() int // how many now; asked before every batch, for nodes come to a host and leave it
	mu    sync.Mutex
	freed sync.Cond
	busy  int
}

func newLanes(limit func() int) *lanes {
	l := &lanes{limit: limit}
	l.freed.L = &l.mu
	return l
}

// count is how many lanes there are now.
func (l *lanes) count() int { return max(1, l.limit()) }

// enter waits for a free lane; leave frees it.
func (l *lanes) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.busy >= l.count() {
		l.freed.Wait()
	}
	l.busy++
}

func (l *lanes) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.freed.Signal()
}
