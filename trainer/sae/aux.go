package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// auxLoss is the loss that brings dead latents back: c·Σ‖ê−e‖²/V_a, where ê is what the k_aux largest dead latents of
// a row reconstruct of the error e (Gao et al. 2024, arXiv:2406.04093, section A.2).
type auxLoss struct {
	l     *Learner
	codes Codes
	sum   float64 // Σ‖ê−e‖² of the batch
}

// size is the number of dead latents that a row may use.
func (a *auxLoss) size() int { return min(a.l.cfg.AuxK, len(a.l.dead)) }

// choose fills the codes of n rows from pre-activations [n, M].
func (a *auxLoss) choose(pre []float32, n int) {
	a.codes.reset(n, a.size())
	if a.codes.K > 0 {
		a.codes.chooseAmong(pre, a.l.M, a.l.dead)
	}
}

// backward adds the gradients of n rows, whose residuals are those of the main loss.
func (a *auxLoss) backward(n int) {
	l, w, v := a.l, &a.l.work, a.l.consts[constAuxVar]
	if a.codes.K == 0 || !(v > 0) {
		return
	}
	a.sum += l.perRow(n, func(b, lo, hi int) float64 { // ê − e = ê + r
		copy(w.ra[lo:hi], w.r[lo:hi])
		a.codes.addDecoded(w.ra[lo:hi], l.WDec, b)
		return squareNorm(w.ra[lo:hi])
	})
	l.backward(&a.codes, w.ra, 2*l.cfg.AuxCoef/v, nil)
}

// candidates are pre-activations [n, M] with those that the loss leaves out set to 0.
func (a *auxLoss) candidates(p *pass, pre *torch.Tensor) *torch.Tensor {
	if a.size() == 0 {
		return nil
	}
	return p.MaskedFill(pre, p.d.alive, 0)
}

// tensors adds the loss of the candidates, for the residuals r of the main loss, to another.
func (a *auxLoss) tensors(p *pass, loss, r, candidates *torch.Tensor) *torch.Tensor {
	v := a.l.consts[constAuxVar]
	if candidates == nil || !(v > 0) {
		return loss
	}
	c := p.top(candidates, a.size())
	square := p.Sum(p.Square(p.Add(p.decode(c, p.Relu(c.a)), p.Detach(r))))
	p.sum("aux", square, func(sum []float64) { a.sum = sum[0] })
	return p.Add(loss, p.MulScalar(square, a.l.cfg.AuxCoef/v))
}

func (a *auxLoss) metrics(m map[string]float64, n float64) {
	if v := a.l.consts[constAuxVar]; v > 0 && a.sum > 0 {
		m["aux"] = a.sum / (n * v)
		m["loss"] += a.l.cfg.AuxCoef * m["aux"]
	}
}

func (a *auxLoss) sums(b *ranks.Bucket) { ranks.Number(b, &a.sum) }
