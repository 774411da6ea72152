package measure

import (
	"context"
	"fmt"
	"math"
	"slices"

	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
)

// PatchedModel is the model whose vectors a coder reconstructs.
type PatchedModel interface {
	// Prompt is the token ids of a data-set row of a run.
	Prompt(run int, row int64) ([]int32, error)
	// Run returns the next-token logits [T, V] of a prompt of T tokens. At, if not nil, is given the vectors x [T, D]
	// of each of the coder's columns, by its number in Coder.Columns, in the order the model computes them; what it
	// leaves there is what the model goes on with.
	Run(ctx context.Context, ids []int32, at func(column int, x []float32) error) (logits []float32, err error)
}

// reconstructor is a meter's coder: rows x [n, Row] to reconstructions [n, out].
type reconstructor interface {
	Reconstruct(x, xhat []float32, n int) error
}

// sampled is the first prompts of a stream, with the positions that the coder reads.
type sampled struct {
	limit int
	order []promptOf
	at    map[promptOf][]int32
}

func (s *sampled) add(rows []stream.Key) {
	if s.at == nil {
		s.at = map[promptOf][]int32{}
	}
	for _, k := range rows {
		p := promptOf{k.Run, k.Prompt}
		if s.at[p] == nil && len(s.order) < s.limit {
			s.order = append(s.order, p)
			s.at[p] = []int32{}
		}
		if s.at[p] != nil {
			s.at[p] = append(s.at[p], k.Pos)
		}
	}
}

// losses sums over positions. The model is run as it is (clean), with x̂ for x (coder) and with 0 for x (zero).
type losses struct {
	tokens, positions           float64
	clean, coder, zero          float64   // cross entropy of the next token, in nats
	divergedCoder, divergedZero float64   // KL from the clean prediction
	cleanLog, coderLog, zeroLog []float64 // of one position
}

// recovered measures what putting the reconstructions into the model costs, where the coder reads: ce_clean, ce_coder
// and ce_zero, the mean cross entropy of the next token; loss_recovered = (zero − coder)/(zero − clean), where
// zeros cost something; kl_coder and kl_zero, the mean KL divergence of the prediction from the clean one; kl_score =
// 1 − kl_coder/kl_zero. Positions before the first that is replaced do not count, and the last token of a prompt has no
// next one. Of a crosscoder each column is replaced by itself: the means are over the columns too, and the two shares
// of each column stand beside them under its name.
func recovered(ctx context.Context, h PatchedModel, m Meter, f form, s sampled) (map[string]float64, error) {
	r, ok := m.(reconstructor)
	if !ok {
		return nil, fmt.Errorf("a coder of type %T cannot be put into a model", m)
	}
	l := make([]losses, len(f.out))
	for _, p := range s.order {
		ids, err := h.Prompt(int(p.run), p.prompt)
		if err != nil {
			return nil, err
		}
		at := slices.Sorted(slices.Values(s.at[p]))
		if last := at[len(at)-1]; int(last) >= len(ids) {
			return nil, fmt.Errorf("row %d has %d tokens, the run holds its position %d: the input is not the run's", p.prompt, len(ids), last)
		}
		if err := f.prompt(ctx, h, r, ids, at, l); err != nil {
			return nil, fmt.Errorf("run row %d with the reconstructions: %w", p.prompt, err)
		}
	}
	return f.metrics(l, len(s.order)), nil
}

// prompt runs one prompt as it is, and twice for each column that is replaced.
func (f form) prompt(ctx context.Context, h PatchedModel, r reconstructor, ids, at []int32, l []losses) error {
	rows := f.rows(len(at))
	clean, err := h.Run(ctx, ids, rows.gather(at))
	if err != nil {
		return err
	}
	xhat := make([]float32, len(at)*f.outputs())
	if err := r.Reconstruct(rows.x, xhat, len(at)); err != nil {
		return err
	}
	zeros := make([]float32, len(xhat))
	for i := range f.out {
		coded, err := h.Run(ctx, ids, f.put(i, at, xhat))
		if err != nil {
			return err
		}
		zero, err := h.Run(ctx, ids, f.put(i, at, zeros))
		if err != nil {
			return err
		}
		l[i].prompt(clean, coded, zero, ids, int(at[0]))
	}
	return nil
}

// metrics are those of all columns together, and of each where there are several.
func (f form) metrics(l []losses, prompts int) map[string]float64 {
	var all losses
	for _, one := range l {
		all.join(one)
	}
	out := all.metrics(prompts)
	for i, column := range f.out {
		if len(f.out) == 1 {
			break
		}
		for name, v := range l[i].metrics(prompts) {
			if name == "loss_recovered" || name == "kl_score" {
				out[name+"@"+f.columns[column]] = v
			}
		}
	}
	return out
}

// join adds the sums of b.
func (l *losses) join(b losses) {
	l.tokens, l.positions = l.tokens+b.tokens, l.positions+b.positions
	l.clean, l.coder, l.zero = l.clean+b.clean, l.coder+b.coder, l.zero+b.zero
	l.divergedCoder, l.divergedZero = l.divergedCoder+b.divergedCoder, l.divergedZero+b.divergedZero
}

// prompt adds the positions of a prompt from the first that was replaced on.
func (l *losses) prompt(clean, coded, zero []float32, ids []int32, first int) {
	v := len(clean) / len(ids)
	for t := first; t < len(ids); t++ {
		next := int32(-1)
		if t+1 < len(ids) {
			next = ids[t+1]
		}
		l.add(clean[t*v:(t+1)*v], coded[t*v:(t+1)*v], zero[t*v:(t+1)*v], next)
	}
}

// add counts one position; next is the token that follows, −1 at the end.
func (l *losses) add(clean, coder, zero []float32, next int32) {
	logs := []*[]float64{&l.cleanLog, &l.coderLog, &l.zeroLog}
	logits := [][]float32{clean, coder, zero}
	parallel.For(len(logs), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			*logs[i] = logSoftmax(*logs[i], logits[i])
		}
	})
	l.positions++
	l.divergedCoder += divergence(l.cleanLog, l.coderLog)
	l.divergedZero += divergence(l.cleanLog, l.zeroLog)
	if next < 0 {
		return
	}
	l.tokens++
	l.clean, l.coder, l.zero = l.clean-l.cleanLog[next], l.coder-l.coderLog[next], l.zero-l.zeroLog[next]
}

// logSoftmax writes the log of the probabilities to dst.
func logSoftmax(dst []float64, logits []float32) []float64 {
	most := slices.Max(logits)
	var sum float64
	dst = dst[:0]
	for _, v := range logits {
		dst = append(dst, float64(v)-float64(most))
		sum += math.Exp(float64(v) - float64(most))
	}
	log := math.Log(sum)
	for i := range dst {
		dst[i] -= log
	}
	return dst
}

// divergence is KL(p‖q) of log probabilities, in nats.
func divergence(p, q []float64) (sum float64) {
	for i, v := range p {
		sum += math.Exp(v) * (v - q[i])
	}
	return sum
}

func (l *losses) metrics(prompts int) map[string]float64 {
	recovered := math.NaN()
	if l.zero > l.clean {
		recovered = (l.zero - l.coder) / (l.zero - l.clean)
	}
	return map[string]float64{
		"prompts":        float64(prompts),
		"ce_clean":       l.clean / l.tokens,
		"ce_coder":       l.coder / l.tokens,
		"ce_zero":        l.zero / l.tokens,
		"loss_recovered": recovered,
		"kl_coder":       l.divergedCoder / l.positions,
		"kl_zero":        l.divergedZero / l.positions,
		"kl_score":       1 - l.divergedCoder/l.divergedZero,
	}
}
