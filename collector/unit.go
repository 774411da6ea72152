package collector

import (
	"context"
	"errors"
	"fmt"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/shard"
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

// ErrNonFinite says that the model produced a NaN or an infinity; the message names row, position and tap.
var ErrNonFinite = errors.New("activation is not finite")

// ErrOverflow says that a value does not fit fp16 and the plan insists on it.
var ErrOverflow = errors.New("activation does not fit fp16")

// Prompts are the prompts of a run, read by ranges: those of the units being computed are in memory.
type Prompts interface {
	Head() dataset.Head
	// Lengths is the number of tokens of each prompt.
	Lengths() []int32
	// Rows is the prompts lo ≤ row < hi. Neither it nor Lengths may be changed.
	Rows(lo, hi int) (*dataset.Input, error)
}

// units computes the units of one plan.
type units struct {
	plan     run.Plan
	planID   string
	input    Prompts
	lengths  []int32 // tokens of each prompt
	model    Model
	taps     []tap.Tap // of plan.Vectors, in order
	rule     tap.Rule
	choices  *choices // nil when the plan has none
	token    func(id int32) string
	lanes    *lanes
	prefixes prefixes
	mostRows int     // of a batch, over all units; 0: not known yet
	groups   *groups // for the plan's own schema, made by the first unit and used by all: fresh memory costs more than packing
}

// written is what became of a unit's file before it is committed.
type written struct {
	pending store.Pending
	footer  shard.Footer
}

// compute hands every batch of unit u to the lanes and returns; the returned function waits for them and
// for the writer. A column that overflows fp16 under dtype auto makes it start again with that column in fp32.
func (us *units) compute(ctx context.Context, st store.Store, u int) (finish func() (written, error), err error) {
	if us.groups == nil {
		count, err := us.groupCount()
		if err != nil {
			return nil, err
		}
		us.groups = newGroups(us.plan.Schema(), count)
	}
	return us.try(ctx, st, run.UnitKey(u), u, us.groups)
}

// again computes unit u into an object of its own, beside whatever else is computed.
func (us *units) again(ctx context.Context, st store.Store, key string, u int) (written, error) {
	count, err := us.groupCount()
	if err != nil {
		return written{}, err
	}
	finish, err := us.try(ctx, st, key, u, newGroups(us.plan.Schema(), count))
	if err != nil {
		return written{}, err
	}
	return finish()
}

func (us *units) try(ctx context.Context, st store.Store, key string, u int, g *groups) (finish func() (written, error), err error) {
	a, err := us.begin(ctx, st, key, u, us.plan.Schema(), g)
	if err != nil {
		return nil, err
	}
	a.feed()
	return func() (written, error) {
		w, tooLarge, err := a.finish()
		if err != nil || len(tooLarge) == 0 {
			return w, err
		}
		return us.widened(ctx, st, key, u, tooLarge)
	}, nil
}

// widened computes unit u with some columns in fp32.
func (us *units) widened(ctx context.Context, st store.Store, key string, u int, columns []int) (written, error) {
	schema := us.plan.Schema()
	schema.Vectors = append([]shard.Vector(nil), schema.Vectors...)
	for _, i := range columns {
		schema.Vectors[i].Dtype = shard.F32
	}
	count, err := us.groupCount()
	if err != nil {
		return written{}, err
	}
	a, err := us.begin(ctx, st, key, u, schema, newGroups(schema, count))
	if err != nil {
		return written{}, err
	}
	a.feed()
	w, _, err := a.finish()
	return w, err
}

// groupCount is how many row groups the node needs in memory: those that the batches in the lanes can
// touch, one being written and one on its way to the writer.
func (us *units) groupCount() (int, error) {
	if us.mostRows == 0 {
		for u := range us.plan.NumUnits() {
			in, err := us.rows(u)
			if err != nil {
				return 0, err
			}
			lo, hi := us.plan.UnitRange(u)
			cost := us.cost(sharedPrefix(in, int(lo), int(hi)))
			for _, n := range us.lengths[lo:hi] {
				us.mostRows = max(us.mostRows, max(1, us.plan.BatchTokens/cost(int(n)))*len(us.rule.Positions(int(n))))
			}
		}
	}
	return groupsTouched(us.lanes.count()*us.mostRows) + 2, nil
}

// rows is the prompts of unit u.
func (us *units) rows(u int) (*dataset.Input, error) {
	lo, hi := us.plan.UnitRange(u)
	in, err := us.input.Rows(int(lo), int(hi))
	if err != nil {
		return nil, fmt.Errorf("the prompts of unit %d: %w", u, err)
	}
	return in, nil
}

// kept is where a batch's rows stand in [B, T], flattened, prompts in order and positions ascending.
func (us *units) kept(b batch) []int32 {
	var flat []int32
	for i, row := range b.rows {
		for _, pos := range us.rule.Positions(int(us.lengths[row])) {
			flat = append(flat, int32(i*b.steps+pos))
		}
	}
	return flat
}

// forward takes a batch through the model, after its unit's prefix.
func (us *units) forward(ctx context.Context, in *dataset.Input, b batch, p *prefix, emit func(i int, v model.View) error) ([][]float32, error) {
	return us.model.Forward(ctx, model.Request{IDs: idsOf(in, b), After: p.model(), Taps: us.taps, Emit: emit, Logits: us.choices != nil})
}

// idsOf is the token ids of a batch's prompts, after the prefix.
func idsOf(in *dataset.Input, b batch) [][]int32 {
	ids := make([][]int32, len(b.rows))
	for i, row := range b.rows {
		ids[i] = in.IDs[row-in.First][b.prefix:]
	}
	return ids
}
