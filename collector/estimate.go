package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// Estimate is what a run would be, measured on a few of its batches.
type Estimate struct {
	Prompts int     `json:"prompts"`
	Tokens  int64   `json:"tokens"`
	Rows    int64   `json:"rows"`    // kept positions
	Columns int     `json:"columns"` // vector columns
	Units   int     `json:"units"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // on this machine alone
	// UnitSeconds is the mean time of a unit on this machine, LongestUnitSeconds that of the longest: more nodes than
	// Units have nothing to do, and no fleet of such machines is faster than the longest.
	UnitSeconds        float64 `json:"unit_seconds"`
	LongestUnitSeconds float64 `json:"longest_unit_seconds"`
	// Memory is the most a node needs: what this process took for model and batches, and the row
	// groups in flight (Blocks of BlockBytes each).
	Memory     int64 `json:"memory_bytes"`
	Blocks     int   `json:"blocks"`
	BlockBytes int64 `json:"block_bytes"`
}

// sampleBatches is how many batches Predict runs; the lengths of one unit's batches span the data set's.
const sampleBatches = 8

// Predict runs a few batches and extrapolates. It writes nothing; cfg needs no Store and no Fleet.
func Predict(ctx context.Context, cfg Config) (Estimate, error) {
	us, err := newUnits(cfg)
	if err != nil {
		return Estimate{}, err
	}
	defer us.close()
	e := Estimate{Prompts: len(us.lengths), Units: us.plan.NumUnits(), Columns: len(us.plan.Vectors)}
	var padded, longest int64 // positions computed, of all units and of the longest
	var work []batch
	for u := range e.Units {
		batches, err := us.batches(u)
		if err != nil {
			return Estimate{}, err
		}
		var unit int64
		for _, b := range batches {
			unit += int64(b.computed())
			e.Rows += int64(len(us.kept(b)))
			b.input = nil // a few are read again
			work = append(work, b)
		}
		padded, longest = padded+unit, max(longest, unit)
	}
	for _, n := range us.lengths {
		e.Tokens += int64(n)
	}
	e.Bytes = e.Rows * rowBytes(us.plan.Vectors)
	if e.Blocks, err = us.groupCount(); err != nil {
		return Estimate{}, err
	}
	e.BlockBytes = rowBytes(us.plan.Vectors) * shard.RowGroupRows
	perToken, err := sample(ctx, us, cfg.Now, work)
	if err != nil {
		return Estimate{}, err
	}
	perToken /= float64(us.lanes.count())
	e.Seconds, e.LongestUnitSeconds = perToken*float64(padded), perToken*float64(longest)
	e.UnitSeconds = e.Seconds / float64(max(1, e.Units))
	peak, err := PeakMemory()
	e.Memory = peak + int64(e.Blocks)*e.BlockBytes
	return e, err
}

// sample measures seconds per computed token in one lane, over batches spread evenly.
func sample(ctx context.Context, us *units, now func() time.Time, work []batch) (float64, error) {
	var took time.Duration
	var tokens int
	for i := 0; i < len(work); i += max(1, len(work)/sampleBatches) {
		t, err := timed(ctx, us, now, work[i])
		if err != nil {
			return 0, err
		}
		took += t
		tokens += work[i].computed()
	}
	return took.Seconds() / float64(max(tokens, 1)), nil
}

// timed is how long a batch takes through the model and into columns, the second time: the first warms up.
func timed(ctx context.Context, us *units, now func() time.Time, b batch) (took time.Duration, err error) {
	if b.input, err = us.input.Rows(slices.Min(b.prompts), slices.Max(b.prompts)+1); err != nil {
		return 0, err
	}
	p, err := us.share(ctx, []batch{b}, singles(us.plan.Vectors))
	if err != nil {
		return 0, err
	}
	defer p.leave()
	kept := us.kept(b)
	scratch := make([]byte, int64(len(kept))*widest(us.plan.Vectors))
	emit := func(c int, v model.View) error {
		vec := us.plan.Vectors[c]
		for rest := kept; len(rest) > 0; {
			from := v
			rows, at := p.part(c, b, rest)
			if rows != nil {
				from = rows.View() // a GPU's go another way: Kept
			}
			packVectors(scratch[:len(at)*vec.RowBytes()], vec.Dtype, from, at, make([]float64, len(at)))
			rest = rest[len(at):]
		}
		return nil
	}
	r := us.request(b, p)
	r.Emit = emit
	r.Kept = &model.Kept{At: ownPlaces(kept, b), F32: singles(us.plan.Vectors), Emit: func(c int, rows model.Rows) error {
		if rows.F16 != nil {
			new(torch.Packed).Halves(scratch, rows.F16, rows.D, make([]float64, rows.Len()))
			return nil
		}
		packVectors(scratch, us.plan.Vectors[c].Dtype, rows.View(), upTo(rows.Len()), make([]float64, rows.Len()))
		return nil
	}}
	for range 2 {
		began := now()
		if _, err := us.model.Forward(ctx, r); err != nil {
			return 0, err
		}
		took = now().Sub(began)
	}
	return took, nil
}

// widest is the bytes of the largest vector.
func widest(vectors []shard.Vector) (most int64) {
	for _, v := range vectors {
		most = max(most, int64(v.RowBytes()))
	}
	return most
}

// Bare runs every batch of the plan through every block, in the same lanes, and keeps nothing: what
// Collect would cost if tapping and writing were free.
func Bare(ctx context.Context, cfg Config) error {
	us, err := newUnits(cfg)
	if err != nil {
		return err
	}
	defer us.close()
	us.taps = []tap.Tap{{Site: tap.Resid, Layer: cfg.Model.Info().Layers - 1}}
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
				_, err := us.model.Forward(ctx, us.request(b, p))
				return err
			})
		}
		p.leave()
	}
	return running.Wait()
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
