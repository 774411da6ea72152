package collector

import (
	"cmp"
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

// batchTokens is the padded size of a batch in tokens on a CPU, of a model whose tokens go through all of it: enough to keep one core's matmul kernel busy. Twice
// as many gain nothing measurable and double the memory of a batch.
const batchTokens = 512

// cpuBatchTokens is the padded size of a batch of a model on a CPU. A mixture of experts is given up to four times as many
// tokens, for each expert has but a part of them.
func cpuBatchTokens(m Model) int {
	last := m.Info().Layers - 1
	experts, chosen := m.Width(tap.Tap{Site: tap.Router, Layer: last}), m.Width(tap.Tap{Site: tap.Experts, Layer: last})
	if chosen == 0 {
		return batchTokens
	}
	return batchTokens * max(1, min(4, experts/chosen))
}

// A GPU is given more at a time, for what it computes from 512 tokens takes less time than telling it so.
const (
	mostBatchTokens = 16384
	passShare       = 8       // of a GPU's memory one of two passes in flight may take a part in so many
	rowsOfBatch     = 1 << 30 // bytes of the rows that a batch gives, which wait in the host's memory
)

// gpuBatchTokens is the padded size of a batch on GPUs with so much memory: a power of two, so that a little more or less
// of it makes the same plan. It counts what a block holds at its largest moment in fp32, with heads of 64 channels.
func gpuBatchTokens(memory int64, m Model, p measures, row int64) int {
	var tokens, rows, longest int64
	for i, n := range p.tokens {
		tokens += int64(n)
		rows += int64(p.rows[i])
		longest = max(longest, int64(n))
	}
	hidden := int64(m.Info().Hidden)
	wide := int64(m.Width(tap.Tap{Site: tap.Wqkv}) + m.Width(tap.Tap{Site: tap.FC1}))
	perToken := 4 * (8*hidden + 3*wide + 3*longest*max(1, hidden/64))
	most := min(mostBatchTokens, memory/passShare/perToken)
	if rows > 0 {
		most = min(most, rowsOfBatch/row*tokens/rows)
	}
	n := batchTokens
	for int64(2*n) <= most {
		n *= 2
	}
	return n
}

// Ask is what a user wants collected.
type Ask struct {
	Sites     []tap.Site // at each of Layers
	Layers    []int
	Taps      []tap.Tap // beside them
	Loose     bool      // Sites are a whole list: what the model lacks is left out
	Tokens    tap.Rule
	Dtype     string // auto, f16 or f32
	Template  string
	Choices   []string // the word for no, then the one for yes; or none
	MaxTokens int
	Limit     int
	KeepText  bool
	Offsets   bool // start and end, the code points of each token, are columns
	// UnitPrompts is how many prompts a unit has; 0: as many as are worth a unit.
	UnitPrompts int
	Compute     string      // of the linear maps: f32 (also when empty), tf32, bf16 or f16
	Device      string      // kind of device: cpu (also when empty) or cuda
	GPU         *run.GPU    // the kind of GPU; nil: the CPU
	Memory      int64       // bytes of the smallest of the GPUs
	Corpus      *run.Corpus // how documents became prompts; nil: every row is one
	Ring        *run.Ring   // bytes and readers of a ring; nil: every shard stays
}

// NewPlan describes the run that does what was asked with this model and input. It is a function of
// its arguments alone, so every node of a fleet makes the same plan. dataName and inputKey are the
// data set's base name and the key its tokenised rows have in the run.
func NewPlan(a Ask, m Model, in Prompts, dataName, inputKey string) (run.Plan, error) {
	info, head := m.Info(), in.Head()
	if len(a.Choices) > 0 && info.NoHead {
		return run.Plan{}, fmt.Errorf("--choices: %s: %w", info.Name, model.ErrNoHead)
	}
	prompts, err := measure(in, a.Tokens)
	if err != nil {
		return run.Plan{}, err
	}
	taps, same, err := a.taps(m)
	if err != nil {
		return run.Plan{}, err
	}
	p := run.Plan{
		Format: run.PlanFormat,
		Model: run.ModelRef{Name: info.Name, Arch: info.Arch, Digest: info.Digest, Layers: info.Layers, Hidden: info.Hidden, MaxPositions: info.MaxPositions,
			Accept: info.Accept},
		Data:  run.DataRef{Name: dataName, Digest: head.Digest, Rows: int64(len(prompts.tokens)), Input: inputKey, Corpus: a.Corpus},
		Sites: sitesOf(taps), Layers: layersOf(taps), Same: same, Tokens: a.Tokens.String(), Dtype: a.Dtype,
		Template: a.Template, Choices: a.Choices, MaxTokens: a.MaxTokens, Limit: int64(a.Limit), KeepText: a.KeepText, Offsets: a.Offsets,
		Compute: cmp.Or(a.Compute, "f32"), Device: cmp.Or(a.Device, "cpu"), GPU: a.GPU, BatchTokens: cpuBatchTokens(m), UnitPrompts: a.UnitPrompts,
	}
	dtype := shard.F16
	if a.Dtype == "f32" {
		dtype = shard.F32
	}
	for _, t := range taps {
		v := shard.Vector{Name: t.Column(""), Width: m.Width(t), Dtype: dtype}
		if t.Site == tap.Experts {
			v.Dtype = shard.I32
		}
		p.Vectors = append(p.Vectors, v)
	}
	if a.Memory > 0 {
		p.BatchTokens = gpuBatchTokens(a.Memory, m, prompts, rowBytes(p.Vectors))
	}
	own, err := ownScalars(head.Columns, a.KeepText)
	if err != nil {
		return p, err
	}
	p.Scalars = append(append(append(shard.BaseScalars(), offsetScalars(a.Offsets)...), own...), choiceScalars(a.Choices)...)
	if p.Units, err = planUnits(a, info, prompts, rowBytes(p.Vectors), ringBytes(a.Ring, p)); err != nil {
		return p, err
	}
	p.Ring, err = planRing(a.Ring, p, prompts.rows)
	return p, err
}

// textColumn is the column of the rendered prompt, kept when asked for.
const textColumn = "text"

// ownScalars are the shard columns for the data set's own ones, in its order.
func ownScalars(columns []dataset.Column, keepText bool) ([]shard.Scalar, error) {
	var out []shard.Scalar
	for _, c := range columns {
		kind, ok := map[dataset.Type]shard.Type{dataset.Int64: shard.Int64, dataset.Float64: shard.Float64,
			dataset.Bool: shard.Bool, dataset.String: shard.String}[c.Type]
		if !ok {
			return nil, fmt.Errorf("column %s: a shard cannot hold %s", c.Name, c.Type)
		}
		out = append(out, shard.Scalar{Name: c.Name, Type: kind})
	}
	if keepText {
		out = append(out, shard.Scalar{Name: textColumn, Type: shard.String})
	}
	return out, nil
}

// offsetScalars are the columns for where each token stands in the text, if they are wanted.
func offsetScalars(wanted bool) (out []shard.Scalar) {
	if !wanted {
		return nil
	}
	for _, name := range dataset.OffsetColumns {
		out = append(out, shard.Scalar{Name: name, Type: shard.Int32})
	}
	return out
}

func choiceScalars(choices []string) []shard.Scalar {
	if len(choices) == 0 {
		return nil
	}
	return []shard.Scalar{{Name: "p_no", Type: shard.Float32}, {Name: "p_yes", Type: shard.Float32}, {Name: "choice_cov", Type: shard.Float32}}
}

// rowBytes is what one kept position costs on disk, all vector columns together.
func rowBytes(vectors []shard.Vector) (total int64) {
	for _, v := range vectors {
		total += int64(v.Width * v.Dtype.Size())
	}
	return total
}

// CheckModel refuses a model, loaded from dir, that is not the plan's.
func CheckModel(p run.Plan, m model.Info, dir string) error {
	if m.Digest != p.Model.Digest {
		return fmt.Errorf("the model in %s (digest %.12s) is not the plan's %s (digest %.12s)", dir, m.Digest, p.Model.Name, p.Model.Digest)
	}
	return nil
}

// ReadInput reads the tokenised prompts of a run.
func ReadInput(ctx context.Context, st store.Store, p run.Plan) (*dataset.Input, error) {
	key := p.Data.Input
	o, err := st.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the tokenised rows %s: %w", key, err)
	}
	defer o.Close()
	in, err := dataset.ReadInput(o, o.Size())
	if err == nil {
		err = sameRows(len(in.IDs), p)
	}
	if err != nil {
		return nil, fmt.Errorf("read the tokenised rows %s in %s: %w", key, st, err)
	}
	return in, nil
}

// sameRows refuses prompts that are not as many as the plan's, whose units are ranges of them.
func sameRows(n int, p run.Plan) error {
	if int64(n) != p.Data.Rows {
		return fmt.Errorf("it holds %d prompts, the plan says %d", n, p.Data.Rows)
	}
	return nil
}

// OpenInput opens the tokenised prompts of a run, to be read by ranges; they stay open as long as the process lives.
func OpenInput(ctx context.Context, st store.Store, p run.Plan) (*dataset.File, error) {
	o, err := st.Open(ctx, p.Data.Input)
	if err != nil {
		return nil, fmt.Errorf("read the tokenised rows %s: %w", p.Data.Input, err)
	}
	f, err := dataset.OpenInput(o, o.Size())
	if err == nil {
		err = sameRows(f.NumRows(), p)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the tokenised rows %s in %s: %w", p.Data.Input, st, err), o.Close())
	}
	return f, nil
}

// Positions reads which positions of prompts a run keeps, for run.CheckOptions; nil where its token rule says so by
// itself. The prompts stay open as long as the process lives.
func Positions(ctx context.Context, st store.Store, p run.Plan) (func(lo, hi int64) ([][]int32, error), error) {
	rule, err := tap.ParseRule(p.Tokens)
	if err != nil || !rule.FromData() {
		return nil, err
	}
	f, err := OpenInput(ctx, st, p)
	if err != nil {
		return nil, err
	}
	if _, err := measure(f, rule); err != nil {
		return nil, fmt.Errorf("%s in %s: %w", p.Data.Input, st, err)
	}
	return func(lo, hi int64) ([][]int32, error) {
		in, err := f.Rows(int(lo), int(hi))
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", p.Data.Input, st, err)
		}
		return in.Kept, nil
	}, nil
}
