package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// Estimate is what is left of a run, and how long a few of its batches took here. Where units are done already, all but
// Done is of the others.
type Estimate struct {
	Prompts int   `json:"prompts"`
	Tokens  int64 `json:"tokens"`
	// Positions are computed: tokens and padding, without what prompts share.
	Positions int64 `json:"positions"`
	Rows      int64 `json:"rows"`    // kept positions
	Columns   int   `json:"columns"` // vector columns
	Units     int   `json:"units"`
	Done      int   `json:"units_done"`
	Bytes     int64 `json:"bytes"`
	// Longest is the part that the longest unit has of the positions: no fleet is faster than that unit.
	Longest float64 `json:"longest_unit"`
	// Products are the floating-point operations of the model's linear maps and attention.
	Products float64 `json:"products_flop"`
	Measured
	// Memory is the most a node needs: what this process took for model and batches, and the row
	// groups in flight (Blocks of BlockBytes each).
	Memory     int64 `json:"memory_bytes"`
	Blocks     int   `json:"blocks"`
	BlockBytes int64 `json:"block_bytes"`
}

// Predict runs a few batches of the units that are not done and extrapolates; nil: none is done. It writes nothing; cfg
// needs no Store and no Fleet.
func Predict(ctx context.Context, cfg Config, done []bool) (Estimate, error) {
	us, err := newUnits(cfg)
	if err != nil {
		return Estimate{}, err
	}
	defer us.close()
	e, work, err := us.left(done)
	if err != nil || len(work) == 0 {
		return e, err
	}
	if e.Blocks, err = us.groupCount(); err != nil {
		return e, err
	}
	e.BlockBytes = rowBytes(us.plan.Vectors) * shard.RowGroupRows
	if e.Measured, err = us.calibrate(ctx, cfg.Now, sample(work)); err != nil {
		return e, err
	}
	peak, err := PeakMemory()
	e.Memory = peak + int64(e.Blocks)*e.BlockBytes
	return e, err
}

// left is what the units that are not done come to, and their batches, without the prompts.
func (us *units) left(done []bool) (e Estimate, work []batch, err error) {
	e.Columns = len(us.plan.Vectors)
	var longest int64
	for u := range us.plan.NumUnits() {
		if u < len(done) && done[u] {
			e.Done++
			continue
		}
		batches, err := us.batches(u)
		if err != nil {
			return e, nil, err
		}
		var unit int64
		for _, b := range batches {
			unit += int64(b.computed())
			e.Rows += int64(len(us.kept(b)))
			b.input = nil // a few are read again
			work = append(work, b)
		}
		e.Units++
		e.Positions, longest = e.Positions+unit, max(longest, unit)
	}
	for _, b := range work {
		e.Prompts += len(b.prompts)
		for _, prompt := range b.prompts {
			e.Tokens += int64(us.lengths[prompt])
		}
		e.Products += float64(us.products(b))
	}
	e.Longest = float64(longest) / float64(max(1, e.Positions))
	e.Bytes = e.Rows * rowBytes(us.plan.Vectors)
	return e, work, nil
}

// products are the floating-point operations of a batch, by the estimate that units are cut by.
func (us *units) products(b batch) int64 {
	info := us.model.Info()
	s := scale{layers: int64(us.lastTap().Layer) + 1, hidden: int64(info.Hidden)}
	if us.choices != nil {
		s.layers = int64(info.Layers)
	}
	return 2 * s.products(int64(b.steps)) * int64(b.computed()) / int64(b.steps)
}

// lastTap is one after which a pass may end.
func (us *units) lastTap() tap.Tap {
	return slices.MaxFunc(us.taps, func(a, b tap.Tap) int { return cmp.Compare(a.Layer, b.Layer) })
}

// Bare runs every batch of the plan through every block, in the same lanes, and keeps nothing: what
// Collect would cost if tapping and writing were free.
func Bare(ctx context.Context, cfg Config) error {
	us, err := newUnits(cfg)
	if err != nil {
		return err
	}
	defer us.close()
	last := tap.Tap{Site: tap.Resid, Layer: cfg.Model.Info().Layers - 1}
	us.taps = []tap.Tap{last}
	running, ctx := errgroup.WithContext(ctx)
	for u := range us.plan.NumUnits() {
		work, err := us.batches(u)
		if err != nil {
			return errors.Join(err, running.Wait())
		}
		p, err := us.share(ctx, work, make([]bool, len(us.taps)))
		if err != nil {
			return errors.Join(err, running.Wait())
		}
		for _, b := range work {
			us.lanes.enter()
			p.join()
			running.Go(func() error {
				defer us.lanes.leave()
				defer p.leave()
				return us.bare(ctx, b, p, last)
			})
		}
		p.leave()
	}
	return running.Wait()
}

// bare takes a batch through the model as far as a tap and keeps nothing; of a GPU it waits for the one row that shows
// that the batch is computed.
func (us *units) bare(ctx context.Context, b batch, p *prefix, last tap.Tap) error {
	r := us.request(b, p)
	r.Taps = []tap.Tap{last}
	r.Kept = &model.Kept{At: []int32{0}, F32: []bool{false}, Emit: func(int, model.Rows) error { return nil }}
	_, err := us.model.Forward(ctx, r)
	return err
}

// PeakMemory is the most memory this process ever held, in bytes.
func PeakMemory() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("ask for this process's memory: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("ask for this process's memory: no VmHWM in /proc/self/status")
}
