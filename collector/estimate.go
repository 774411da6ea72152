package collector

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"actfleet/collector/model"
	"actfleet/shard"
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
	e := Estimate{Prompts: len(us.input.IDs), Units: us.plan.NumUnits(), Columns: len(us.plan.Vectors)}
	var padded int64
	var work []batch
	for u := range e.Units {
		lo, hi := us.plan.UnitRange(u)
		for _, b := range batches(us.input, int(lo), int(hi), us.plan.BatchTokens) {
			padded += int64(len(b.rows) * b.steps)
			e.Rows += int64(len(us.kept(b)))
			work = append(work, b)
		}
	}
	for _, ids := range us.input.IDs {
		e.Tokens += int64(len(ids))
	}
	e.Bytes = e.Rows * rowBytes(us.plan.Vectors)
	e.Blocks = us.groupCount()
	e.BlockBytes = rowBytes(us.plan.Vectors) * shard.RowGroupRows
	perToken, err := us.sample(ctx, cfg.Now, work)
	if err != nil {
		return Estimate{}, err
	}
	e.Seconds = perToken * float64(padded) / float64(us.lanes.count())
	peak, err := PeakMemory()
	e.Memory = peak + int64(e.Blocks)*e.BlockBytes
	return e, err
}

// sample measures seconds per padded token in one lane, over batches spread evenly; the first run of each warms up.
func (us *units) sample(ctx context.Context, now func() time.Time, work []batch) (float64, error) {
	var took time.Duration
	var tokens int
	scratch := make([]byte, 0)
	for i := 0; i < len(work); i += max(1, len(work)/sampleBatches) {
		b := work[i]
		kept := us.kept(b)
		emit := func(c int, v model.View) error {
			vec := us.plan.Vectors[c]
			if need := len(kept) * vec.RowBytes(); cap(scratch) < need {
				scratch = make([]byte, need)
			}
			pack(scratch[:len(kept)*vec.RowBytes()], vec.Dtype, v, kept, make([]float64, len(kept)))
			return nil
		}
		for try := range 2 {
			began := now()
			if _, err := us.model.Forward(ctx, model.Request{IDs: us.ids(b), Taps: us.taps, Emit: emit, Logits: us.choices != nil}); err != nil {
				return 0, err
			}
			if try == 1 {
				took += now().Sub(began)
				tokens += len(b.rows) * b.steps
			}
		}
	}
	return took.Seconds() / float64(max(tokens, 1)), nil
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
