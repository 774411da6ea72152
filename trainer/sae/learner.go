package sae

import (
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// Config says what is trained.
type Config struct {
	Width      int     // M
	K          int     // active latents of a row
	AuxK       int     // dead latents tried on what is left; 0 is no auxiliary loss
	AuxCoef    float64 // c
	DeadTokens int     // a latent is dead after so many rows without firing
	Clip       float64 // limit of the gradient's global norm; 0 is none
	Scale      bool    // bring E‖z‖² to d; without it s = 1
	Seed       uint64
}

// Numbers that a Learner keeps in its State.
const (
	constScale    = iota // s
	constVariance        // V
	constAuxVar          // V_a
	consts
)

// Learner is a Model in training.
type Learner struct {
	*Model
	cfg    Config
	grad   *Model // gradients, summed over the rows of the window
	params []optim.Param
	adam   *optim.Adam
	since  []int64 // [M] rows since the latent fired, up to the last step
	dead   []int32 // latents that are dead during this window
	consts []float64
	win    window
	work   work
}

// window is what a step adds up over its micro-batches.
type window struct {
	n             int
	loss, auxLoss float64   // Σ‖r‖², Σ‖ê−e‖²
	active        int64     // Σ active latents
	square        []float64 // [d] Σz²
	sumZ, sumR    []float64 // [d]
	fired         []bool    // [M]
}

// work is memory used again by every micro-batch.
type work struct {
	z, r, ra   []float32 // [n, d]
	codes, aux Codes
	dval       []float32 // [n, k] ∂f
	order      byLatent
	rowLoss    []float64
}

// New makes a learner for vectors of length d. It must be given Init or a State
// before the first Micro.
func New(d int, cfg Config) (*Learner, error) {
	if d < 1 || cfg.Width < 1 || cfg.K < 1 || cfg.K > cfg.Width || cfg.AuxK < 0 {
		return nil, fmt.Errorf("sae: width %d, k %d and aux_k %d over vectors of %d do not fit", cfg.Width, cfg.K, cfg.AuxK, d)
	}
	l := &Learner{Model: newModel(d, cfg.Width, cfg.K), cfg: cfg, grad: newModel(d, cfg.Width, cfg.K),
		since: make([]int64, cfg.Width), consts: make([]float64, consts)}
	l.win = window{square: make([]float64, d), sumZ: make([]float64, d), sumR: make([]float64, d), fired: make([]bool, cfg.Width)}
	l.params = []optim.Param{
		{Name: "W_enc", Shape: []int{l.M, d}, Value: l.WEnc, Grad: l.grad.WEnc},
		{Name: "b_enc", Shape: []int{l.M}, Value: l.BEnc, Grad: l.grad.BEnc},
		{Name: "W_dec", Shape: []int{l.M, d}, Value: l.WDec, Grad: l.grad.WDec},
		{Name: "b_dec", Shape: []int{d}, Value: l.BDec, Grad: l.grad.BDec},
	}
	l.adam = optim.NewAdam(l.params)
	return l, nil
}

// State is everything that training goes on from, between two steps.
func (l *Learner) State() *state.Set {
	s := &state.Set{}
	for _, p := range l.params {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	state.Add(s, "since_fired", l.since)
	state.Add(s, "constants", l.consts)
	s.Join("", l.adam.State())
	return s
}

// Restored takes over what was loaded into the State.
func (l *Learner) Restored() error {
	l.scale = float32(l.consts[constScale])
	if !(l.scale > 0) || !(l.consts[constVariance] > 0) {
		return fmt.Errorf("sae: scale %v and variance %v of the checkpoint are not positive", l.scale, l.consts[constVariance])
	}
	l.findDead()
	return nil
}

// Export is the model as it is now, with the scale folded in. It shares the weights.
func (l *Learner) Export() *Model { return l.folded() }

// Micro adds the gradients of n rows x [n, D] to the window.
func (l *Learner) Micro(x []float32, n int) error {
	l.reserve(n)
	w := &l.work
	l.centre(w.z, x, n)
	k := min(l.cfg.AuxK, len(l.dead))
	err := l.encode(w.z, n, func(pre []float32) {
		w.codes.reset(n, l.K)
		w.codes.choose(pre, l.M)
		if k > 0 {
			w.aux.reset(n, k)
			w.aux.chooseAmong(pre, l.M, l.dead)
		}
	})
	if err != nil {
		return err
	}
	loss := l.residuals(n)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("sae: the reconstruction: %w", optim.ErrNonFinite)
	}
	l.collect(n, loss)
	l.backward(&w.codes, w.r, 2/l.consts[constVariance])
	if k > 0 && l.consts[constAuxVar] > 0 {
		l.win.auxLoss += l.auxResiduals(n)
		l.backward(&w.aux, w.ra, 2*l.cfg.AuxCoef/l.consts[constAuxVar])
	}
	return nil
}

func (l *Learner) reserve(n int) {
	w, size := &l.work, n*l.D
	w.z, w.r, w.ra = grow(w.z, size), grow(w.r, size), grow(w.ra, size)
	w.rowLoss = grow(w.rowLoss, n)
}

// residuals computes r = ẑ − z and returns Σ‖r‖².
func (l *Learner) residuals(n int) float64 {
	w := &l.work
	return l.perRow(n, func(b int, lo, hi int) float64 {
		r := w.r[lo:hi]
		for j, v := range w.z[lo:hi] {
			r[j] = -v
		}
		w.codes.addDecoded(r, l.WDec, b)
		return squareNorm(r)
	})
}

// auxResiduals computes ra = ê − e = ê + r and returns Σ‖ra‖².
func (l *Learner) auxResiduals(n int) float64 {
	w := &l.work
	return l.perRow(n, func(b int, lo, hi int) float64 {
		copy(w.ra[lo:hi], w.r[lo:hi])
		w.aux.addDecoded(w.ra[lo:hi], l.WDec, b)
		return squareNorm(w.ra[lo:hi])
	})
}

// perRow sums f over rows in a fixed order; lo and hi bound the row's values.
func (l *Learner) perRow(n int, f func(b, lo, hi int) float64) (sum float64) {
	out := l.work.rowLoss[:n]
	parallel.For(n, rowGrain, func(from, to int) {
		for b := from; b < to; b++ {
			out[b] = f(b, b*l.D, (b+1)*l.D)
		}
	})
	for _, v := range out {
		sum += v
	}
	return sum
}

func squareNorm(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum
}

// collect adds the statistics of a micro-batch to the window.
func (l *Learner) collect(n int, loss float64) {
	w, win := &l.work, &l.win
	win.n += n
	win.loss += loss
	for b := range n {
		idx, _ := w.codes.row(b)
		win.active += int64(len(idx))
		for _, i := range idx {
			win.fired[i] = true
		}
	}
	parallel.For(l.D, rowGrain, func(lo, hi int) { // columns, each summed by rising row
		for b := range n {
			at := b * l.D
			for j := lo; j < hi; j++ {
				z, r := float64(w.z[at+j]), float64(w.r[at+j])
				win.square[j] += z * z
				win.sumZ[j] += z
				win.sumR[j] += r
			}
		}
	})
}

// backward adds the gradients through the codes c for the residuals r, where the
// loss is coef/2 · Σ‖r‖².
func (l *Learner) backward(c *Codes, r []float32, coef float64) {
	w, d, g := &l.work, l.D, float32(coef)
	w.dval = grow(w.dval, c.N*c.K)
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			idx, _ := c.row(b)
			for j, i := range idx {
				w.dval[b*c.K+j] = g * dot(r[b*d:(b+1)*d], l.WDec[int(i)*d:(int(i)+1)*d])
			}
		}
	})
	w.order.sort(c, l.M)
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			l.latentGradient(i, c, r, g)
		}
	})
}

// latentGradient sums the gradients of latent i over the rows where it is active.
func (l *Learner) latentGradient(i int, c *Codes, r []float32, g float32) {
	w, d := &l.work, l.D
	dDec, dEnc := l.grad.WDec[i*d:(i+1)*d], l.grad.WEnc[i*d:(i+1)*d]
	for _, e := range w.order.entries[w.order.start[i]:w.order.start[i+1]] {
		b := int(e) / c.K
		axpy(g*c.Val[e], r[b*d:(b+1)*d], dDec)
		axpy(w.dval[e], w.z[b*d:(b+1)*d], dEnc)
		l.grad.BEnc[i] += w.dval[e]
	}
}
