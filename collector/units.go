package collector

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

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
	// KeptCounts is how many positions of each prompt become rows; nil where the prompts do not say, see tap.Rule.FromData.
	KeptCounts() []int32
	// Rows is the prompts lo ≤ row < hi. Nothing of the three may be changed.
	Rows(lo, hi int) (*dataset.Input, error)
}

// units is what all units of one plan are computed with.
type units struct {
	plan     run.Plan
	planID   string
	input    Prompts
	lengths  []int32 // tokens of each prompt
	rows     []int32 // kept positions of each prompt
	model    Model
	store    store.Store
	drop     context.Context // ends the passes of the unit being computed
	taps     []tap.Tap       // of plan.Vectors, in order
	rule     tap.Rule
	choices  *choices // nil when the plan has none
	scalars  scalars
	lanes    *lanes
	prefixes prefixes
	mostRows int               // of a batch, over all units; 0: not known yet
	tooMuch  atomic.Int64      // positions of the smallest batch that a GPU had not the memory for; 0: none yet
	tell     func(text string) // tells the user what was decided; nil: nobody listens
}

func newUnits(cfg Config) (*units, error) {
	us := &units{plan: cfg.Plan, planID: cfg.Plan.ID(), input: cfg.Input, model: cfg.Model, store: cfg.Store, drop: orNever(cfg.Drop),
		scalars: scalars{columns: cfg.Plan.Scalars, offsets: cfg.Plan.Offsets, token: cfg.Token}, lanes: newLanes(cfg.Lanes)}
	rule, err := tap.ParseRule(cfg.Plan.Tokens)
	if err != nil {
		return nil, err
	}
	prompts, err := measure(cfg.Input, rule)
	if err != nil {
		return nil, err
	}
	if cfg.Plan.Offsets && !cfg.Input.Head().Offsets {
		return nil, errors.New("the plan has columns for the offsets of tokens, and the prompts have none")
	}
	us.rule, us.lengths, us.rows = rule, prompts.tokens, prompts.rows
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
	prefix := sharedPrefix(in.IDs, us.model.Info().PrefixLimit)
	work := cutBatches(us.lengths, int(lo), int(hi), us.plan.BatchTokens, us.cost(prefix))
	for i := range work {
		work[i].input, work[i].prefix = in, prefix
	}
	return work, nil
}

// cost is what a prompt costs of the budget.
func (us *units) cost(prefix int) func(prompt int) int {
	return func(prompt int) int { return max(int(us.lengths[prompt])-prefix, int(us.rows[prompt])) }
}

// cutBatches cuts prompts [lo, hi) of so many tokens each into batches: sorted by length, shortest first and stable, as
// many as fit the budget when each costs as much as the dearest of them. A prompt that costs more than the
// budget is a batch of its own. The result is a function of lengths and costs alone.
func cutBatches(lengths []int32, lo, hi, budget int, cost func(prompt int) int) []batch {
	order := make([]int, 0, hi-lo)
	for prompt := lo; prompt < hi; prompt++ {
		order = append(order, prompt)
	}
	length := func(i int) int { return int(lengths[order[i]]) }
	sort.SliceStable(order, func(i, j int) bool { return length(i) < length(j) })
	var out []batch
	for start := 0; start < len(order); {
		end, most := start+1, cost(order[start])
		for ; end < len(order); end++ {
			if most = max(most, cost(order[end])); (end-start+1)*most > budget {
				break
			}
		}
		out = append(out, batch{prompts: order[start:end], steps: length(end - 1)})
		start = end
	}
	return out
}

// positions are those of a prompt that become rows, ascending; in holds it.
func (us *units) positions(in *dataset.Input, prompt int) []int32 {
	if us.rule.FromData() {
		return in.Kept[prompt-in.First]
	}
	var out []int32
	for _, pos := range us.rule.Positions(int(us.lengths[prompt])) {
		out = append(out, int32(pos))
	}
	return out
}

// kept is where the positions that become rows stand in the batch, as b·T + t, prompts in order and positions
// ascending.
func (us *units) kept(b batch) []int32 {
	var kept []int32
	for i, prompt := range b.prompts {
		for _, pos := range us.positions(b.input, prompt) {
			kept = append(kept, int32(i*b.steps)+pos)
		}
	}
	return kept
}

// groupCount is how many row groups the node needs in memory: those that the batches in the lanes can
// touch, one being written and one on its way to the writer.
func (us *units) groupCount() (int, error) {
	if us.mostRows == 0 {
		for u := range us.plan.NumUnits() {
			work, err := us.batches(u)
			if err != nil {
				return 0, err
			}
			for _, b := range work {
				rows := 0
				for _, prompt := range b.prompts {
					rows += int(us.rows[prompt])
				}
				us.mostRows = max(us.mostRows, rows)
			}
		}
	}
	return groupsTouched(us.lanes.count()*us.mostRows) + 2, nil
}

// request is the forward pass of a batch, after its unit's prefix.
func (us *units) request(b batch, p *prefix) model.Request {
	ids := make([][]int32, len(b.prompts))
	for i := range b.prompts {
		ids[i] = b.ids(i)[b.prefix:]
	}
	return model.Request{IDs: ids, After: p.after(), Taps: us.taps, Next: us.choices.next()}
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
