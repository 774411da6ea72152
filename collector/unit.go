package collector

import (
	"context"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/tap"
	"actfleet/shard"
	"actfleet/shard/store"
)

// Model is what the collector needs of a language model.
type Model interface {
	Info() model.Info
	Width(t tap.Tap) int
	Forward(ctx context.Context, r model.Request) (logits [][]float32, err error)
}

// ErrNonFinite says that the model produced a NaN or an infinity; the message names row, position and tap.
var ErrNonFinite = errors.New("activation is not finite")

// ErrOverflow says that a value does not fit fp16 and the plan insists on it.
var ErrOverflow = errors.New("activation does not fit fp16")

// units computes the units of one plan.
type units struct {
	plan    shard.Plan
	planID  string
	input   *dataset.Input
	model   Model
	taps    []tap.Tap // of plan.Vectors, in order
	rule    tap.Rule
	choices *choices // nil when the plan has none
	token   func(id int32) string
	blocks  *blocks // for the plan's own schema, made by the first unit and used by all
}

// written is what became of a unit's file before it is committed.
type written struct {
	pending store.Pending
	footer  shard.Footer
}

// compute runs unit u through the model into a pending object of st. The writer works beside the
// computing; when compute returns, every block has been handed to it, and the returned function waits
// for it. A column that overflows fp16 under dtype auto makes the unit start again with that column in fp32.
func (us *units) compute(ctx context.Context, st store.Store, u int) (finish func() (written, error), err error) {
	schema := us.plan.Schema()
	finish, tooLarge, err := us.attempt(ctx, st, u, schema)
	if err != nil || len(tooLarge) == 0 {
		return finish, err
	}
	schema.Vectors = append([]shard.Vector(nil), schema.Vectors...)
	for _, i := range tooLarge {
		schema.Vectors[i].Dtype = shard.F32
	}
	finish, _, err = us.attempt(ctx, st, u, schema)
	return finish, err
}

// attempt computes unit u with the given schema. It returns the columns that overflowed fp16, in which
// case nothing is left of the attempt.
func (us *units) attempt(ctx context.Context, st store.Store, u int, schema shard.Schema) (finish func() (written, error), tooLarge []int, err error) {
	pending, err := st.Create(ctx, shard.UnitKey(u))
	if err != nil {
		return nil, nil, fmt.Errorf("create %s: %w", shard.UnitKey(u), err)
	}
	w, err := shard.NewWriter(pending, schema, shard.Identity{PlanID: us.planID, Unit: u})
	if err != nil {
		return nil, nil, errors.Join(err, pending.Abort())
	}
	lo, hi := us.plan.UnitRange(u)
	work := batches(us.input, int(lo), int(hi), us.plan.BatchTokens)
	p := &packer{units: us, schema: schema, overflow: make([]bool, len(schema.Vectors)), blocks: us.blocksFor(schema)}
	full := make(chan *shard.Block, 1)
	p.full = full
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return write(w, full, p.blocks) })
	err = p.run(gctx, work)
	close(full)
	finish = func() (written, error) {
		if err := g.Wait(); err != nil {
			return written{}, errors.Join(fmt.Errorf("write %s: %w", shard.UnitKey(u), err), pending.Abort())
		}
		footer, err := w.Close()
		if err != nil {
			return written{}, errors.Join(fmt.Errorf("write %s: %w", shard.UnitKey(u), err), pending.Abort())
		}
		return written{pending: pending, footer: footer}, nil
	}
	if err != nil || p.anyOverflow() {
		_, ferr := finish()
		return nil, p.tooLarge(), errors.Join(err, ferr, pending.Abort())
	}
	return finish, nil, nil
}

// blocksFor are the row groups a unit of this schema is packed into. Those of the plan's own schema are
// used again by every unit: fresh memory costs more than the packing.
func (us *units) blocksFor(s shard.Schema) *blocks {
	if !s.Equal(us.plan.Schema()) {
		return newBlocks(s, us.blockCount())
	}
	if us.blocks == nil {
		us.blocks = newBlocks(s, us.blockCount())
	}
	return us.blocks
}

// blockCount is how many row groups the node needs in memory: those one batch can touch, one being
// written and one on its way to the writer.
func (us *units) blockCount() int {
	shortest, kept, whole := us.plan.BatchTokens, 0, 0
	for _, ids := range us.input.IDs {
		shortest, whole = min(shortest, len(ids)), max(whole, len(ids))
		kept = max(kept, len(us.rule.Positions(len(ids))))
	}
	most := max(us.plan.BatchTokens, whole) // every position of a full batch
	if kept == 1 {
		most = max(1, us.plan.BatchTokens/shortest) // one row a prompt
	}
	return blocksPerBatch(most) + 2
}

// kept is where a batch's rows stand in [B, T], flattened, prompts in order and positions ascending.
func (us *units) kept(b batch) []int32 {
	var flat []int32
	for i, row := range b.rows {
		for _, pos := range us.rule.Positions(len(us.input.IDs[row])) {
			flat = append(flat, int32(i*b.steps+pos))
		}
	}
	return flat
}

// ids is the token ids of a batch's prompts.
func (us *units) ids(b batch) [][]int32 {
	ids := make([][]int32, len(b.rows))
	for i, row := range b.rows {
		ids[i] = us.input.IDs[row]
	}
	return ids
}

// write is the writer's goroutine: it ends when full is closed. After an error it keeps taking blocks,
// so that the computing side never waits for a writer that has given up.
func write(w *shard.Writer, full <-chan *shard.Block, b *blocks) (err error) {
	for block := range full {
		if err == nil {
			err = w.WriteBlock(block)
		}
		b.give(block)
	}
	return err
}

// packer takes a unit's batches through the model into blocks.
type packer struct {
	*units
	schema   shard.Schema
	blocks   *blocks
	full     chan<- *shard.Block // to the writer
	overflow []bool              // per vector column
}

func (p *packer) run(ctx context.Context, work []batch) error {
	for _, b := range work {
		if err := p.batch(ctx, b); err != nil {
			return err
		}
	}
	return p.blocks.flush(ctx, p.full)
}

func (p *packer) batch(ctx context.Context, b batch) error {
	segments, err := p.blocks.place(ctx, p.kept(b))
	if err != nil {
		return err
	}
	emit := func(i int, v model.View) error { return p.pack(i, v, b, segments) }
	logits, err := p.model.Forward(ctx, model.Request{IDs: p.ids(b), Taps: p.taps, Emit: emit, Logits: p.choices != nil})
	if err != nil {
		return fmt.Errorf("rows %v: %w", span(b.rows), err)
	}
	fill := scalars{units: p.units, batch: b, odds: p.choices.odds(logits)}
	for _, s := range segments {
		fill.segment(s)
	}
	return p.blocks.release(ctx, p.full, segments)
}

// pack writes the kept rows of one tap's output into their blocks.
func (p *packer) pack(i int, v model.View, b batch, segments []segment) error {
	vec := p.schema.Vectors[i]
	for _, s := range segments {
		size := vec.Width * vec.Dtype.Size()
		dst := s.block.Vectors[i][s.at*size : (s.at+len(s.flat))*size]
		stats := &s.block.Stats[i]
		pack(stats, dst, vec.Dtype, v, s.flat)
		if stats.NonFinite > 0 {
			return p.locate(i, v, b, s.flat)
		}
		if stats.Overflow > 0 && p.plan.Dtype == "f16" {
			return fmt.Errorf("%w: column %s holds a magnitude of 65520 or more; collect with --dtype auto or f32", ErrOverflow, vec.Name)
		}
		p.overflow[i] = p.overflow[i] || stats.Overflow > 0
	}
	return nil
}

// locate names the first value of a tap that is not finite.
func (p *packer) locate(i int, v model.View, b batch, flat []int32) error {
	for _, at := range flat {
		for d, x := range v.Data[int(at)*v.D : (int(at)+1)*v.D] {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				t := p.taps[i]
				return fmt.Errorf("%w: row %d, position %d: %s of layer %d, channel %d is %v",
					ErrNonFinite, b.rows[int(at)/b.steps], int(at)%b.steps, t.Site, t.Layer, d, x)
			}
		}
	}
	return fmt.Errorf("%w: column %s", ErrNonFinite, p.schema.Vectors[i].Name)
}

func (p *packer) anyOverflow() bool { return len(p.tooLarge()) > 0 }

// tooLarge lists the vector columns with values that do not fit fp16.
func (p *packer) tooLarge() (columns []int) {
	for i, over := range p.overflow {
		if over {
			columns = append(columns, i)
		}
	}
	return columns
}

func span(rows []int) [2]int {
	lo, hi := rows[0], rows[0]
	for _, r := range rows {
		lo, hi = min(lo, r), max(hi, r)
	}
	return [2]int{lo, hi}
}
