package sae

import (
	"fmt"
	"math"
	"strings"

	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// Sparsity is the form P of ReLU's penalty on the activations f of a row.
type Sparsity string

// The forms; n_i is ‖d_i‖, of a crosscoder the sum over its vectors.
const (
	L1         Sparsity = "l1"          // Σ f_i n_i
	PAnneal    Sparsity = "p_anneal"    // Σ (f_i + ε)^p − ε^p, p falling from 1
	Hoyer      Sparsity = "hoyer"       // (Σ f_i)² / Σ f_i²
	Group      Sparsity = "group"       // Σ_g ‖f_g‖
	GroupHoyer Sparsity = "group_hoyer" // (Σ_g ‖f_g‖)² / Σ f_i²
	tanhForm   Sparsity = "tanh"        // Σ tanh(c f_i n_i), of JumpReLUTanh
)

// Sparsities are the forms one may choose.
var Sparsities = []Sparsity{L1, PAnneal, Hoyer, Group, GroupHoyer}

func (s Sparsity) groups() bool { return s == Group || s == GroupHoyer }

func (s Sparsity) check() error {
	var names []string
	for _, k := range Sparsities {
		if s == k || s == "" {
			return nil
		}
		names = append(names, string(k))
	}
	return fmt.Errorf("unknown sparsity %q: want %s", s, strings.Join(names, ", "))
}

// tanhSlope is c of the tanh form, pEps is ε of PAnneal.
const (
	tanhSlope = 4
	pEps      = 1e-2
)

// penalty is λΣP(f) over a batch. With PAnneal, the learner's constant constOwn is a factor of λ, which keeps the
// penalty the same when the exponent changes.
type penalty struct {
	l         *Learner
	form      Sparsity
	sum, next float64   // ΣP of the batch, and with the exponent of the next step
	total     float64   // λΣP, once the batch is complete
	lengths   []float32 // [M] n_i during this batch; nil where all are 1
	toLength  []float64 // [M] Σ∂P/∂n_i
}

// newPenalty weights latents by the lengths of their directions, or not.
func newPenalty(l *Learner, form Sparsity, weighted bool) *penalty {
	p := &penalty{l: l, form: form}
	if form == PAnneal {
		l.consts = append(l.consts, 1)
	}
	if weighted {
		p.lengths, p.toLength = make([]float32, l.M), make([]float64, l.M)
	}
	return p
}

// beginBatch rescales λ so that the penalty of the last batch would be the same with the next step's exponent.
func (p *penalty) beginBatch() {
	if p.form == PAnneal && p.sum > 0 && p.next > 0 {
		p.l.consts[constOwn] *= p.sum / p.next
	}
	p.sum, p.next = 0, 0
	clear(p.toLength)
	if p.l.device != nil {
		return // which has the directions, and finds the lengths itself
	}
	for i := range p.lengths {
		p.lengths[i] = float32(p.length(i))
	}
}

// lambda is λ/V of the step that is being prepared.
func (p *penalty) lambda() float64 {
	f := p.l.lambda()
	if p.form == PAnneal {
		f *= p.l.consts[constOwn]
	}
	return f
}

// backward adds the penalty of the chosen codes to ∂f and to the sums.
func (p *penalty) backward() {
	w := &p.l.work
	p.add(w.codes.Val)
	if p.form == PAnneal {
		e := p.exponent(p.l.steps() + 1)
		for _, f := range w.codes.Val {
			p.next += power(float64(f), e)
		}
	}
	if p.lengths == nil || p.form != L1 && p.form != tanhForm {
		return
	}
	w.order.each(func(i int, entries []int32) {
		for _, e := range entries {
			_, _, d := p.latent(float64(w.codes.Val[e]), float64(p.lengths[i]))
			p.toLength[i] += d
		}
	})
}

// add adds λ'∂P/∂v to ∂f of the entries of the codes, and ΣP to the sum, where v are the entries' values.
func (p *penalty) add(v []float32) {
	c, dval, lambda := &p.l.work.codes, p.l.work.dval, p.lambda()
	p.sum += p.l.perRow(c.N, func(b, _, _ int) float64 {
		idx, _ := c.Row(b)
		lo := c.at(b)
		hi := lo + len(idx)
		return p.row(idx, v[lo:hi], dval[lo:hi], lambda)
	})
}

// row adds λ'∂P/∂f of one row to grad and returns P.
func (p *penalty) row(idx []int32, val, grad []float32, lambda float64) (sum float64) {
	switch p.form {
	case Hoyer, Group, GroupHoyer:
		return p.groups(idx, val, grad, lambda)
	}
	for j, f := range val {
		n := 1.0
		if p.lengths != nil {
			n = float64(p.lengths[idx[j]])
		}
		one, df, _ := p.latent(float64(f), n)
		sum += one
		grad[j] += float32(lambda * df)
	}
	return sum
}

// latent is P of one latent, ∂P/∂f and ∂P/∂n.
func (p *penalty) latent(f, n float64) (sum, df, dn float64) {
	switch p.form {
	case PAnneal:
		e := p.exponent(p.l.steps())
		return power(f, e), e * math.Pow(f+pEps, e-1), 0
	case tanhForm:
		t := math.Tanh(tanhSlope * f * n)
		return t, tanhSlope * n * (1 - t*t), tanhSlope * f * (1 - t*t)
	}
	return f * n, n, f
}

// power is (f+ε)^p − ε^p, which is f where p is 1 and has a bounded slope.
func power(f, p float64) float64 { return math.Pow(f+pEps, p) - math.Pow(pEps, p) }

// exponent is p of PAnneal in a step: 1 until PFrom, then falling linearly to PEnd, which the last
// step does not reach.
func (p *penalty) exponent(step int) float64 {
	from, total := p.l.cfg.PFrom, max(p.l.cfg.Steps, p.l.cfg.PFrom+1)
	if step <= from {
		return 1
	}
	return 1 - (1-p.l.cfg.PEnd)*float64(min(step, total)-from)/float64(total-from)
}

// groups is row for Hoyer's square of the latents (DeepHoyer: Yang et al. 2020, arXiv:1908.09979), the norms of their
// groups of neighbours, or Hoyer's square of these.
func (p *penalty) groups(idx []int32, val, grad []float32, lambda float64) float64 {
	norms, sum, square := p.norms(idx, val)
	if square == 0 {
		return 0
	}
	for j, f := range val {
		if norms[j] == 0 {
			continue
		}
		d := float64(f) / norms[j]
		if p.form != Group {
			d = 2*d*sum/square - 2*float64(f)*sum*sum/(square*square)
		}
		grad[j] += float32(lambda * d)
	}
	if p.form == Group {
		return sum
	}
	return sum * sum / square
}

// norms are the norm of the group that every latent of a row belongs to, the sum of the groups' norms and of their
// squares. Without groups, every latent is one of its own.
func (p *penalty) norms(idx []int32, val []float32) (norms []float64, sum, square float64) {
	size := int32(1)
	if p.form.groups() {
		size = int32(p.l.cfg.GroupSize)
	}
	norms = make([]float64, len(val))
	for lo, hi := 0, 0; lo < len(val); lo = hi {
		var s float64
		for hi = lo; hi < len(val) && idx[hi]/size == idx[lo]/size; hi++ {
			s += float64(val[hi]) * float64(val[hi])
		}
		for j := lo; j < hi; j++ {
			norms[j] = math.Sqrt(s)
		}
		sum, square = sum+math.Sqrt(s), square+s
	}
	return norms, sum, square
}

// length is n_i: the sum, over the vectors side by side, of the length of d_i's part.
func (p *penalty) length(i int) (sum float64) {
	p.eachPart(i, func(d, _ []float32) { sum += math.Sqrt(squareNorm(d)) })
	return sum
}

// eachPart hands over the parts of d_i and of its gradient.
func (p *penalty) eachPart(i int, f func(d, g []float32)) {
	o := p.l.Outputs()
	d, g := p.l.WDec[i*o:(i+1)*o], p.l.grad.WDec[i*o:(i+1)*o]
	for _, n := range p.l.parts() {
		f(d[:n], g[:n])
		d, g = d[n:], g[n:]
	}
}

// lengthen adds the gradient of v·n_i to d_i's: ∂n_i/∂d_i = d_i/‖d_i‖ of every part.
func (p *penalty) lengthen(i int, v float64) {
	if v == 0 {
		return
	}
	p.eachPart(i, func(d, g []float32) {
		axpy(float32(v/max(math.Sqrt(squareNorm(d)), 1e-12)), d, g)
	})
}

// finish adds the part of the gradient that goes to the directions.
func (p *penalty) finish() {
	lambda := p.lambda()
	for i := range p.lengths {
		p.lengthen(i, lambda*p.toLength[i])
	}
	p.total = lambda * p.sum
}

// tensors is λ'ΣP of codes f [n, M].
func (p *penalty) tensors(t *pass, f *torch.Tensor) *torch.Tensor {
	lambda, sum := p.lambda(), p.of(t, f, p.exponent(p.l.steps()))
	t.sum("penalty", sum, func(v []float64) { p.sum, p.total = v[0], lambda*v[0] })
	if p.form == PAnneal {
		t.NoGrad(func() {
			t.sum("next", p.of(t, f, p.exponent(p.l.steps()+1)), func(v []float64) { p.next = v[0] })
		})
	}
	return t.MulScalar(sum, lambda)
}

// tiny keeps roots and quotients of what may be 0 differentiable.
const tiny = 1e-20

// of is ΣP, with the exponent e where the form has one.
func (p *penalty) of(t *pass, f *torch.Tensor, e float64) *torch.Tensor {
	rows := func(x *torch.Tensor) *torch.Tensor { return t.SumDim(x, 1, false) }
	square := func() *torch.Tensor { return t.ClampMin(rows(t.Square(f)), tiny) }
	switch p.form {
	case PAnneal:
		up := t.Exp(t.MulScalar(t.Log(t.AddScalar(f, pEps)), e))
		return t.Sum(t.AddScalar(up, -math.Pow(pEps, e)))
	case Hoyer:
		return t.Sum(t.Div(t.Square(rows(f)), square()))
	case Group:
		return t.Sum(p.groupNorms(t, f))
	case GroupHoyer:
		return t.Sum(t.Div(t.Square(rows(p.groupNorms(t, f))), square()))
	case tanhForm:
		return t.Sum(t.Tanh(t.MulScalar(t.Mul(f, p.directions(t)), tanhSlope)))
	}
	if p.lengths == nil {
		return t.Sum(f)
	}
	return t.Sum(t.Mul(f, p.directions(t)))
}

// groupNorms are the norms of every row's groups of neighbours, of which the last may be short.
func (p *penalty) groupNorms(t *pass, f *torch.Tensor) *torch.Tensor {
	size, m := int64(p.l.cfg.GroupSize), int64(p.l.M)
	if rest := m % size; rest > 0 {
		f, m = t.Cat([]*torch.Tensor{f, t.Zeros(torch.F32, t.d.at, t.n, size-rest)}, 1), m+size-rest
	}
	squares := t.SumDim(t.Square(t.Reshape(f, t.n, m/size, size)), 2, false)
	return t.Sqrt(t.ClampMin(squares, tiny))
}

// directions are the n_i [M].
func (p *penalty) directions(t *pass) (total *torch.Tensor) {
	at := int64(0)
	for _, n := range p.l.parts() {
		part := t.NormDim(t.Narrow(t.d.value["W_dec"], 1, at, int64(n)), 1, false)
		if total == nil {
			total = part
		} else {
			total = t.Add(total, part)
		}
		at += int64(n)
	}
	return total
}

func (p *penalty) sums(b *ranks.Bucket) {
	ranks.Number(b, &p.sum, &p.next)
	ranks.Numbers(b, p.toLength)
}

func (p *penalty) metrics(m map[string]float64, n float64) { addPenalty(m, p.l.cfg, p.total, n) }

// addPenalty adds the penalty of a batch of n rows to its metrics.
func addPenalty(m map[string]float64, c Config, total, n float64) {
	if c.Penalty > 0 {
		m["penalty"] = total * (1 / n)
		m["loss"] += m["penalty"]
	}
}
