package measure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"actfleet/trainer/stream"
)

// PatchedModel is the model whose vectors a coder reconstructs.
type PatchedModel interface {
	// Prompt is the token ids of a data-set row of a run.
	Prompt(run int, row int64) ([]int32, error)
	// Begin takes prompts through the model together, up to where it computes the first of the coder's columns. All begin
	// with the same shared tokens, which may be computed once; from are the first positions that matter, of each prompt.
	Begin(ctx context.Context, prompts [][]int32, shared int, from []int32) (PatchedBatch, error)
	// Readout is the next-token logits [n, V] of n states [n, H].
	Readout(states []float32, n int) (logits []float32, err error)
}

// PatchedBatch is prompts in a PatchedModel, ready to be run several times.
type PatchedBatch interface {
	// Run takes them on to the last block. At is given the vectors x [T−from, D] of each prompt, by its place among
	// them, at each of the coder's columns, by its number in Coder.Columns, in the order the model computes them; if it says
	// that it wrote into x, the model goes on with what it left there. States are what the last block puts out for each
	// prompt, [T−from, H].
	Run(ctx context.Context, at func(column, prompt int, x []float32) (wrote bool, err error)) (states [][]float32, err error)
	// Free ends what was computed.
	Free()
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

// recovered measures what putting the reconstructions into the model costs, where the coder reads: ce_clean, ce_coder
// and ce_zero, the mean cross entropy of the next token; loss_recovered = (zero − coder)/(zero − clean), where
// zeros cost something; kl_coder and kl_zero, the mean KL divergence of the prediction from the clean one; kl_score =
// 1 − kl_coder/kl_zero. Positions before the first that is replaced do not count, and the last token of a prompt has no
// next one. Of a crosscoder each column is replaced by itself: the means are over the columns too, and the two shares
// of each column stand beside them under its name. The shares have 95 % intervals over the prompts (see spread). Notes
// say of a metric why it is missing or means little.
func recovered(ctx context.Context, h PatchedModel, m Meter, f form, s sampled) (metrics map[string]float64, notes map[string]string, err error) {
	r, ok := m.(reconstructor)
	if !ok {
		return nil, nil, fmt.Errorf("a coder of type %T cannot be put into a model", m)
	}
	prompts, err := s.prompts(h)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range batches(prompts) {
		if err := f.patch(ctx, h, r, b); err != nil {
			return nil, nil, fmt.Errorf("run row %d with the reconstructions: %w", b.prompts[0].row, err)
		}
	}
	metrics, notes = f.metrics(prompts)
	return metrics, notes, nil
}

// patchedPrompt is one prompt and what it costs to put the coder into it.
type patchedPrompt struct {
	row  int64
	ids  []int32
	at   []int32  // positions that the coder reads, rising
	lost []losses // of each column that is replaced
}

// prompts are those that were sampled, in their order.
func (s *sampled) prompts(h PatchedModel) (out []*patchedPrompt, err error) {
	for _, p := range s.order {
		ids, err := h.Prompt(int(p.run), p.prompt)
		if err != nil {
			return nil, err
		}
		at := slices.Sorted(slices.Values(s.at[p]))
		if len(at) == 0 {
			continue
		}
		if last := at[len(at)-1]; int(last) >= len(ids) {
			return nil, fmt.Errorf("row %d has %d tokens, the run holds its position %d: the input is not the run's", p.prompt, len(ids), last)
		}
		out = append(out, &patchedPrompt{row: p.prompt, ids: ids, at: at})
	}
	return out, nil
}

const (
	// batchTokens bounds the tokens of a batch, those that fill it up included.
	batchTokens = 1024
	// leastShared is how many tokens prompts must share for it to be worth computing them on their own.
	leastShared = 8
	// readAtOnce is how many positions' logits are in memory at once.
	readAtOnce = 64
)

// patchBatch is prompts that go through the model together.
type patchBatch struct {
	prompts []*patchedPrompt
	shared  int // tokens that all begin with, none of which the coder reads
}

// batches puts prompts of about the same length together.
func batches(prompts []*patchedPrompt) (out []patchBatch) {
	byLength := slices.Clone(prompts)
	slices.SortStableFunc(byLength, func(a, b *patchedPrompt) int { return cmp.Compare(len(b.ids), len(a.ids)) })
	for len(byLength) > 0 {
		n := min(len(byLength), max(1, batchTokens/len(byLength[0].ids)))
		b := patchBatch{prompts: byLength[:n]}
		if n > 1 {
			b.shared = sharedBeginning(b.prompts)
		}
		out, byLength = append(out, b), byLength[n:]
	}
	return out
}

// sharedBeginning is how many tokens all prompts begin with before the coder reads any of them.
func sharedBeginning(prompts []*patchedPrompt) int {
	first := prompts[0].ids
	shared := len(first) - 1
	for _, p := range prompts {
		shared = min(shared, int(p.at[0]), len(p.ids)-1)
		n := 0
		for n < shared && p.ids[n] == first[n] {
			n++
		}
		shared = n
	}
	if shared < leastShared {
		return 0
	}
	return shared
}

func (b patchBatch) ids() (out [][]int32) {
	for _, p := range b.prompts {
		out = append(out, p.ids)
	}
	return out
}

// from is the first position of each prompt that the coder reads.
func (b patchBatch) from() (out []int32) {
	for _, p := range b.prompts {
		out = append(out, p.at[0])
	}
	return out
}

// patch runs a batch as it is, and twice for each column that is replaced, and leaves the losses in its prompts. What
// the model computes before the first of the columns is the same in all runs.
func (f form) patch(ctx context.Context, h PatchedModel, r reconstructor, b patchBatch) error {
	begun, err := h.Begin(ctx, b.ids(), b.shared, b.from())
	if err != nil {
		return err
	}
	defer begun.Free()
	rows := f.rows(b)
	clean, err := begun.Run(ctx, rows.gather)
	if err != nil {
		return err
	}
	n := rows.first[len(b.prompts)]
	xhat := make([]float32, n*f.outputs())
	if err := r.Reconstruct(rows.x, xhat, n); err != nil {
		return err
	}
	zeros := make([]float32, len(xhat))
	for i := range f.out {
		coded, err := begun.Run(ctx, rows.put(i, xhat))
		if err != nil {
			return err
		}
		zero, err := begun.Run(ctx, rows.put(i, zeros))
		if err != nil {
			return err
		}
		if err := b.lose(h, clean, coded, zero); err != nil {
			return err
		}
	}
	return nil
}

// lose adds to every prompt its losses from the states of a batch in three runs.
func (b patchBatch) lose(h PatchedModel, clean, coded, zero [][]float32) error {
	var todo []position
	for i, p := range b.prompts {
		p.lost = append(p.lost, losses{})
		for t := int(p.at[0]); t < len(p.ids); t++ {
			next := int32(-1)
			if t+1 < len(p.ids) {
				next = p.ids[t+1]
			}
			d, row := len(clean[i])/(len(p.ids)-int(p.at[0])), t-int(p.at[0])
			lo, hi := row*d, (row+1)*d
			todo = append(todo, position{p, next, [3][]float32{clean[i][lo:hi], coded[i][lo:hi], zero[i][lo:hi]}})
		}
	}
	for part := range slices.Chunk(todo, readAtOnce) {
		if err := lose(h, part); err != nil {
			return err
		}
	}
	return nil
}

// metrics are those of all columns together, and the shares of each where there are several.
func (f form) metrics(prompts []*patchedPrompt) (out map[string]float64, notes map[string]string) {
	all := make([]losses, len(prompts))
	byColumn := map[string]map[string]float64{}
	for i, c := range f.out {
		one := make([]losses, len(prompts))
		for j, p := range prompts {
			one[j] = p.lost[i]
			all[j].join(one[j])
		}
		byColumn["@"+f.columns[c]] = shares(one)
	}
	out, notes = total(all).metrics()
	maps.Copy(out, shares(all))
	out["prompts"] = float64(len(prompts))
	if len(f.out) > 1 {
		for column, share := range byColumn {
			for name, v := range share {
				out[name+column] = v
			}
		}
	}
	return out, notes
}
