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
	// Width is the number of channels at a tap; 0 where the model has no such tap.
	Width(t tap.Tap) int
	// Same is the site that a site always has the vectors of, itself or an earlier one.
	Same(site tap.Site) tap.Site
	Forward(ctx context.Context, r model.Request) (logits [][]float32, err error)
	Prefix(ctx context.Context, r model.Request) (*model.Prefix, error)
}

// Prompts are the prompts of a run, read by ranges: those of the units being computed are in memory.
type Prompts interface {
	Head() dataset.Head
	// Lengths is the number of tokens of each prompt.
	Lengths() []int32
	// Rows is the prompts lo ≤ row < hi. Neither it nor Lengths may be changed.
	Rows(lo, hi int) (*dataset.Input, error)
}

// units is what all units of one plan are computed with.
type units struct {
	plan     run.Plan
	planID   string
	input    Prompts
	lengths  []int32 // tokens of each prompt
	model    Model
	store    store.Store
	drop     context.Context // ends the passes of the unit being computed
	taps     []tap.Tap       // of plan.Vectors, in order
	rule     tap.Rule
	choices  *choices // nil when the plan has none
	scalars  scalars
	lanes    *lanes
	prefixes prefixes
	mostRows int // of a batch, over all units; 0: not known yet
}

func newUnits(cfg Config) (*units, error) {
	us := &units{plan: cfg.Plan, planID: cfg.Plan.ID(), input: cfg.Input, lengths: cfg.Input.Lengths(), model: cfg.Model, store: cfg.Store, drop: orNever(cfg.Drop),
		scalars: scalars{columns: cfg.Plan.Scalars, token: cfg.Token}, lanes: newLanes(cfg.Lanes)}
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

// batch is the prompts that go through the model together, by their number in the run.
type batch struct {
	input   *dataset.Input // holds them, and perhaps others
	prompts []int
	prefix  int // tokens that all prompts of the unit begin with and that are computed once
	steps   int // padded length T, the prefix's tokens among it
}

// computed is how many positions a pass over the batch computes, pads and all.
func (b batch) computed() int { return len(b.prompts) * (b.steps - b.prefix) }

// ids is the tokens of the batch's prompt i.
func (b batch) ids(i int) []int32 { return b.input.IDs[b.prompts[i]-b.input.First] }

// prompts reads the prompts of unit u.
func (us *units) prompts(u int) (*dataset.Input, error) {
	lo, hi := us.plan.UnitRange(u)
	in, err := us.input.Rows(int(lo), int(hi))
	if err != nil {
		return nil, fmt.Errorf("the prompts of unit %d: %w", u, err)
	}
	return in, nil
}

// batches cuts unit u into batches. A prompt costs the tokens computed for it or the positions kept of
// it, whichever are more.
func (us *units) batches(u int) ([]batch, error) {
	in, err := us.prompts(u)
	if err != nil {
		return nil, err
	}
	lo, hi := us.plan.UnitRange(u)
	prefix := us.sharedPrefix(in.IDs)
	work := cutBatches(us.lengths, int(lo), int(hi), us.plan.BatchTokens, us.cost(prefix))
	for i := range work {
		work[i].input, work[i].prefix = in, prefix
	}
	return work, nil
}

func (us *units) sharedPrefix(prompts [][]int32) int {
	return sharedPrefix(prompts, us.model.Info().PrefixLimit)
}

// cost is what a prompt of n tokens costs of the budget.
func (us *units) cost(prefix int) func(n int) int {
	return func(n int) int { return max(n-prefix, len(us.rule.Positions(n))) }
}

// cutBatches cuts prompts [lo, hi) of so many tokens each into batches: sorted by length, shortest first and stable, as
// many as fit the budget when each costs as much as the longest of them. A prompt that costs more than the
// budget is a batch of its own. The result is a function of the lengths alone.
func cutBatches(lengths []int32, lo, hi, budget int, cost func(n int) int) []batch {
	order := make([]int, 0, hi-lo)
	for prompt := lo; prompt < hi; prompt++ {
		order = append(order, prompt)
	}
	length := func(i int) int { return int(lengths[order[i]]) }
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
		for _, pos := range us.rule.Positions(int(us.lengths[prompt])) {
			kept = append(kept, int32(i*b.steps+pos))
		}
	}
	return kept
}

// groupCount is how many row groups the node needs in memory: those that the batches in the lanes can
// touch, one being written and one on its way to the writer.
func (us *units) groupCount() (int, error) {
	if us.mostRows == 0 {
		for u := range us.plan.NumUnits() {
			in, err := us.prompts(u)
			if err != nil {
				return 0, err
			}
			cost := us.cost(us.sharedPrefix(in.IDs))
			for _, ids := range in.IDs {
				n := len(ids)
				us.mostRows = max(us.mostRows, max(1, us.plan.BatchTokens/cost(n))*len(us.rule.Positions(n)))
			}
		}
	}
	return groupsTouched(us.lanes.count()*us.mostRows) + 2, nil
}

// forward takes a batch through the model, after its unit's prefix.
func (us *units) forward(ctx context.Context, b batch, p *prefix, emit func(i int, v model.View) error) ([][]float32, error) {
	ids := make([][]int32, len(b.prompts))
	for i := range b.prompts {
		ids[i] = b.ids(i)[b.prefix:]
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
