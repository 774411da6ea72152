package sae

import (
	"math"
	"math/rand/v2"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// Matryoshka is BatchTopK whose loss is the mean of those of prefixes of the latents (Bussmann et al. 2025,
// arXiv:2503.17547).
const Matryoshka Arch = "matryoshka"

var archMatryoshka = architecture{
	arch: Matryoshka, activation: ThresholdActivation, together: true, revives: true, defaults: usual,
	variant: func(l *Learner) variant {
		return &nestedTopK{batchTopK: newBatchTopK(l), prefixes: halvedPrefixes(l.M, l.cfg.Prefixes)}
	},
}

type nestedTopK struct {
	batchTopK
	prefixes []int       // rising, the last is M
	nested   [][]float32 // [prefixes] [n, out] the residuals that reach the latents a prefix is the first to hold
	loss     float64     // mean over the prefixes of Σ‖r_j‖²
}

// halvedPrefixes are M_1 < … < M_g = m, each twice the one before, as far as m can be halved.
func halvedPrefixes(m, groups int) (out []int) {
	for j := max(groups, 1) - 1; j >= 0; j-- {
		if p := m >> min(j, 62); p > 0 {
			out = append(out, p)
		}
	}
	return out
}

// sampledPrefixes are up to groups different lengths, the last m and the others drawn for a step from
// Pareto's distribution of exponent ½ between 1 and m.
func sampledPrefixes(m, groups int, seed uint64, step int) []int {
	r := rand.New(rand.NewPCG(seed^0x3a7e, uint64(step)))
	out := []int{m}
	for range max(groups, 1) - 1 {
		u := float64(r.Uint64()>>11) / (1 << 53)
		low := 1 / math.Sqrt(float64(m)) // P(x > v) is proportional to v^−½
		x := 1 / math.Pow(1-u*(1-low), 2)
		out = append(out, min(max(int(x), 1), m))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (v *nestedTopK) beginBatch() {
	v.batchTopK.beginBatch()
	v.loss = 0
	if c := v.l.cfg; c.Sampled {
		v.prefixes = sampledPrefixes(v.l.M, c.Prefixes, c.Seed, v.l.steps())
	}
}

// backward adds the gradients of n rows, where every latent sees the residuals of the prefixes that hold it.
func (v *nestedTopK) backward(n int) error {
	v.loss += v.nest(n)
	l, d := v.l, v.l.Outputs()
	w, c, g := &l.work, &l.work.codes, float32(2/l.consts[constVariance])
	w.dval = grow(w.dval, len(c.Val))
	w.order.sort(c, l.M)
	w.order.each(func(i int, entries []int32) {
		q, _ := slices.BinarySearch(v.prefixes, i+1)
		r := v.nested[q]
		for _, e := range entries {
			b := c.rowAt(e)
			w.dval[e] = g * dot(r[b*d:(b+1)*d], l.WDec[i*d:(i+1)*d])
		}
		l.latentGradient(i, c, r, g)
	})
	if err := l.addBiasGrad(v.nested[0], n, 1); err != nil {
		return err
	}
	v.aux.backward(n)
	return nil
}

// nest computes, for every prefix q, the mean over all prefixes of the residuals r_j of those with
// j ≥ q. It returns the mean of Σ‖r_j‖².
func (v *nestedTopK) nest(n int) float64 {
	l, w, last, d := v.l, &v.l.work, len(v.prefixes)-1, v.l.Outputs()
	for len(v.nested) <= last {
		v.nested = append(v.nested, nil)
	}
	for j := range v.prefixes {
		v.nested[j] = grow(v.nested[j], n*d)
	}
	share := float32(1) / float32(last+1)
	sum := l.perRow(n, func(b, lo, hi int) (sum float64) {
		r := make([]float32, d)
		axpy(-1, w.t[lo:hi], r)
		if w.skipped != nil {
			axpy(1, w.skipped[lo:hi], r)
		}
		idx, val := w.codes.Row(b)
		at := 0
		for j, m := range v.prefixes {
			for ; at < len(idx) && int(idx[at]) < m; at++ {
				i := int(idx[at])
				axpy(val[at], l.WDec[i*d:(i+1)*d], r)
			}
			sum += squareNorm(r)
			clear(v.nested[j][lo:hi])
			axpy(share, r, v.nested[j][lo:hi])
		}
		for j := last - 1; j >= 0; j-- {
			axpy(1, v.nested[j+1][lo:hi], v.nested[j][lo:hi])
		}
		return sum
	})
	return sum * float64(share)
}

func (v *nestedTopK) tensors(p *pass) *torch.Tensor {
	c, dead := v.chooseTensors(p)
	f := p.Relu(c.a)
	r, share := p.main(c, f), 1/float64(len(v.prefixes))
	total := p.Sum(p.Square(r))
	for _, m := range v.prefixes[:len(v.prefixes)-1] {
		short := p.MaskedFill(f, p.GeScalar(c.index, float64(m)), 0)
		total = p.Add(total, p.Sum(p.Square(p.residual(c, short))))
	}
	p.sum("nested", total, func(sum []float64) { v.loss = share * sum[0] })
	return v.aux.tensors(p, p.MulScalar(total, share/v.l.consts[constVariance]), r, dead)
}

func (v *nestedTopK) sums(b *ranks.Bucket) {
	v.batchTopK.sums(b)
	ranks.Number(b, &v.loss)
}

func (v *nestedTopK) metrics(m map[string]float64, n float64) {
	v.batchTopK.metrics(m, n)
	m["loss"] += (v.loss - v.l.batch.loss) / (n * v.l.consts[constVariance])
}
