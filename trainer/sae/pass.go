package sae

import "actfleet/internal/torch"

// pass is rows on their way through the equations of the package documentation, in tensors. An architecture's tensors
// method says what is special to it; autograd finds the gradients. They begin at a, the pre-activations that were chosen,
// so that what reaches W_enc is sums over few entries where few were chosen.
type pass struct {
	*torch.Scope
	d *onDevice
	l *Learner
	n int64

	z      *torch.Tensor // [n, D] what the encoder sees
	target *torch.Tensor // [n, out] what is to be reconstructed, b_d not yet taken from it
	chosen []chosen
}

// chosen is pre-activations of rows: those of some latents, in the order of the rows, or of all.
type chosen struct {
	a     *torch.Tensor // [E]; [n, M] of all latents
	index *torch.Tensor // [E] I64 the latent of an entry; nil of all latents
	row   *torch.Tensor // [E] I64 its row
	first *torch.Tensor // [n] I64 where each row begins
}

func newPass(s *torch.Scope, d *onDevice, rows *torch.Tensor, n int) *pass {
	l := d.l
	p := &pass{Scope: s, d: d, l: l, n: int64(n)}
	p.z = p.scaled(rows, 0, l.D, d.gains[0])
	p.target = p.z
	if l.Out > 0 {
		p.target = p.scaled(rows, l.D, l.Out, d.gains[1])
	}
	if !l.plain {
		p.z = p.Minus(p.z, p.Detach(d.value["b_dec"]))
	}
	return p
}

// free ends what autograd kept.
func (p *pass) free() {
	for _, c := range p.chosen {
		c.a.Free()
	}
}

// scaled is s·gain·x of d columns of rows from column at on.
func (p *pass) scaled(rows *torch.Tensor, at, d int, gain *torch.Tensor) *torch.Tensor {
	x := p.MulScalar(p.Narrow(rows, 1, int64(at), int64(d)), float64(p.l.scale))
	if gain != nil {
		x = p.Mul(x, gain)
	}
	return x
}

// encode is W_e z + b_e of rows z, where products are rounded with a rounded product.
func (p *pass) encode(z *torch.Tensor) (pre *torch.Tensor) {
	p.NoGrad(func() {
		enc, bias := p.d.value["W_enc"], p.d.value["b_enc"]
		if p.d.products == torch.F32 {
			pre = p.Linear(z, enc, bias)
			return
		}
		pre = p.Add(p.To(p.Linear(p.To(z, p.d.products), p.d.rounded, nil), torch.F32), bias)
	})
	return pre
}

// exact gives chosen pre-activations the values they have without rounding; what is not positive stays what it is.
func (p *pass) exact(c chosen) chosen {
	if p.d.products == torch.F32 {
		return c
	}
	p.NoGrad(func() {
		bias := p.IndexSelect(p.d.value["b_enc"], 0, c.index)
		dots := p.BagDots(p.z, p.d.value["W_enc"], c.index, c.first, c.row)
		c.a = p.Where(p.GtScalar(c.a, 0), p.Add(dots, bias), c.a)
	})
	return c
}

// all is the pre-activations of all latents.
func (p *pass) all() chosen { return p.begin(chosen{a: p.encode(p.z)}) }

// begin lets gradients begin at the pre-activations.
func (p *pass) begin(c chosen) chosen {
	c.a = p.Param(c.a)
	p.chosen = append(p.chosen, c)
	return c
}

// top is the k largest of pre [n, M]; what is not positive among them gives nothing and gets no gradient. Which of equal
// ones is chosen is libtorch's affair.
func (p *pass) top(pre *torch.Tensor, k int) chosen {
	a, index := p.TopK(pre, int64(k), 1)
	row := p.Arange(0, p.n, torch.I64, p.d.at)
	entries := p.Reshape(p.Expand(p.Unsqueeze(row, 1), p.n, int64(k)), -1)
	return p.begin(p.exact(chosen{a: p.Reshape(a, -1), index: p.Reshape(index, -1), row: entries, first: p.Mul(row, p.whole(k))}))
}

// whole is a number as a tensor of whole numbers, which one of another type would make floats of.
func (p *pass) whole(n int) *torch.Tensor { return p.Full(float64(n), torch.I64, p.d.at, 1) }

// entries are pre-activations a [E] at rising places, row·M + latent.
func (p *pass) entries(a, place *torch.Tensor) chosen {
	// in float64, where the quotient of whole numbers is never rounded up to the next one
	exact := p.Floor(p.Div(p.To(place, torch.F64), p.Full(float64(p.l.M), torch.F64, p.d.at, 1)))
	row := p.To(exact, torch.I64)
	zero := p.Zeros(torch.I64, p.d.at, p.n)
	counts := p.ScatterAdd(zero, 0, row, p.Ones(torch.I64, p.d.at, row.Len()))
	return p.begin(p.exact(chosen{a: a, index: p.Minus(place, p.Mul(row, p.whole(p.l.M))), row: row, first: p.Minus(p.Cumsum(counts, 0), counts)}))
}

// decode is W_dᵀf, where f are values of the chosen.
func (p *pass) decode(c chosen, f *torch.Tensor) *torch.Tensor {
	return p.decodeWith(p.d.value["W_dec"], c, f)
}

func (p *pass) decodeWith(dec *torch.Tensor, c chosen, f *torch.Tensor) *torch.Tensor {
	if c.index == nil {
		return p.MatMul(f, dec)
	}
	return p.Bag(dec, c.index, c.first, c.row, f)
}

// residual is r = W_dᵀf + b_d + W_skip z − target.
func (p *pass) residual(c chosen, f *torch.Tensor) *torch.Tensor {
	rec := p.Add(p.decode(c, f), p.d.value["b_dec"])
	if p.l.WSkip != nil {
		rec = p.Add(rec, p.Linear(p.z, p.d.value["W_skip"], nil))
	}
	return p.Minus(rec, p.target)
}

// errors is Σ‖r‖²/V.
func (p *pass) errors(r *torch.Tensor) *torch.Tensor {
	return p.MulScalar(p.Sum(p.Square(r)), 1/p.l.consts[constVariance])
}

// main is the residual through the codes f of the chosen, and takes in the statistics of the batch.
func (p *pass) main(c chosen, f *torch.Tensor) (r *torch.Tensor) {
	r = p.residual(c, f)
	p.NoGrad(func() {
		b, t := &p.l.batch, p.Minus(p.target, p.d.value["b_dec"])
		loss := p.SumDim(p.Square(r), 1, false)
		p.sum("loss", p.rowSum(loss), func(v []float64) { b.loss = v[0] })
		p.sum("square", p.rowSum(p.SumDim(p.Square(t), 1, false)), func(v []float64) { b.square[0] = v[0] })
		p.sum("target", p.SumDim(t, 0, false), func(v []float64) { copy(b.sumT, v) })
		p.sum("residual", p.SumDim(r, 0, false), func(v []float64) { copy(b.sumR, v) })
		p.sum("fired", p.perLatent(c, p.To(p.GtScalar(f, 0), torch.F32)), func(v []float64) {
			for i, n := range v {
				b.active += int64(n)
				b.fired[i] = n > 0
			}
		})
		p.offer(loss, t)
	})
	return r
}

func (p *pass) sum(name string, x *torch.Tensor, into func([]float64)) {
	p.d.sum(p.Scope, name, x, into)
}

// rowSum is the sum of x [n] in float64.
func (p *pass) rowSum(x *torch.Tensor) *torch.Tensor { return p.Sum(p.To(x, torch.F64)) }

// perLatent is the sums of values of the chosen by latent, [M].
func (p *pass) perLatent(c chosen, values *torch.Tensor) *torch.Tensor {
	if c.index == nil {
		return p.SumDim(values, 0, false)
	}
	ones := p.Ones(torch.F32, p.d.at, p.n, 1)
	return p.Squeeze(p.BagGrad(ones, c.index, c.row, values, int64(p.l.M)), 1)
}

// offer shows the rows to the reservoir of those that dead latents begin anew from.
func (p *pass) offer(loss, target *torch.Tensor) {
	if p.l.drawn == nil {
		return
	}
	w := &p.l.work
	host := func(x *torch.Tensor) []float32 {
		return append([]float32(nil), p.Contiguous(p.ToDevice(x, torch.CPU)).Float32s()...)
	}
	w.z, w.t, w.rowLoss = host(p.z), host(target), w.rowLoss[:0]
	for _, v := range host(loss) {
		w.rowLoss = append(w.rowLoss, float64(v))
	}
	p.l.drawn.offer(p.l, int(p.n))
}

// backward adds the gradients of a loss.
func (p *pass) backward(loss *torch.Tensor) {
	p.Backward(loss)
	p.NoGrad(func() {
		for _, c := range p.chosen {
			g := p.Grad(c.a)
			p.AddTo(p.d.dPre, p.perLatent(c, g), 1)
			if c.index == nil {
				p.AddTo(p.d.dEnc, p.MatMul(p.Transpose(g, 0, 1), p.z), 1)
			} else {
				p.AddTo(p.d.dEnc, p.BagGrad(p.z, c.index, c.row, g, int64(p.l.M)), 1)
			}
		}
	})
}
