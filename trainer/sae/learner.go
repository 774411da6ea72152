package sae

import (
	"errors"
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// Numbers that a Learner keeps in its State.
const (
	constScale    = iota // s
	constVariance        // V
	constAuxVar          // V_a
	consts
	constTheta = consts // θ of BatchTopK, −1 before the first step; TopK's files have no such number
	constMatch = consts // factor of λ of PAnneal; the ReLUs' files alone have it
)

// Learner is a Model in training.
type Learner struct {
	*Model
	cfg    Config
	grad   *Model // gradients, summed over the rows of the window
	params []optim.Param
	opt    optim.Optimizer
	ema    *optim.EMA // nil without
	since  []int64    // [M] rows since the latent fired, up to the last step
	dead   []int32    // latents that are dead during this window
	consts []float64
	win    window
	work   work
	ranks  ranks.Ranks
	from   int // place in the window of this rank's first row

	logTheta, gradTheta []float32 // [M] of what jumps
	lengths             []float32 // [M] n_i during this window; nil when all are 1
	held                []float32 // rows of a BatchTopK window
	prefixes            []int     // of Matryoshka
	guess               float32   // where its next choice begins to look; decides the time alone
	reborn              *reservoir
}

// New makes a learner for rows of length d: the vector, and behind it the target if there is one. It
// must be given Init or a State before the first Micro.
func New(d int, cfg Config) (*Learner, error) {
	if cfg.Arch == "" {
		cfg.Arch = TopK
	}
	if cfg.Sparsity == "" {
		cfg.Sparsity = L1
	}
	s := cfg.shape(d)
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("sae: %w", err)
	}
	if err := cfg.problem(s); err != nil {
		return nil, fmt.Errorf("sae: %w", err)
	}
	l := &Learner{Model: newModel(s), cfg: cfg, grad: newModel(s), since: make([]int64, s.M), consts: make([]float64, consts), ranks: ranks.Alone{}}
	l.plain = l.plain || cfg.Arch.free() || cfg.Untied
	l.win = newWindow(s)
	l.params = []optim.Param{
		{Name: "W_enc", Shape: []int{s.M, s.D}, Value: l.WEnc, Grad: l.grad.WEnc},
		{Name: "b_enc", Shape: []int{s.M}, Value: l.BEnc, Grad: l.grad.BEnc},
		{Name: "W_dec", Shape: []int{s.M, s.Outputs()}, Value: l.WDec, Grad: l.grad.WDec},
		{Name: "b_dec", Shape: []int{s.Outputs()}, Value: l.BDec, Grad: l.grad.BDec},
	}
	l.prepareArch()
	l.prepareGains()
	var err error
	if l.opt, err = optim.New(cfg.Optimizer, l.params); err != nil {
		return nil, fmt.Errorf("sae: %w", err)
	}
	if cfg.EMA > 0 {
		l.ema = optim.NewEMA(l.params, cfg.EMA)
	}
	return l, nil
}

// prepareArch adds what an architecture needs besides the four arrays.
func (l *Learner) prepareArch() {
	c, vector := &l.cfg, []int{l.M}
	if !c.Arch.Revives() {
		c.AuxK = 0
	}
	switch {
	case c.Arch.OverBatch():
		l.consts = append(l.consts, -1)
		l.prefixes = prefixes(l.M, c.Prefixes)
	case c.Arch.Jumps():
		l.logTheta, l.gradTheta = make([]float32, l.M), make([]float32, l.M)
		l.params = append(l.params, optim.Param{Name: "log_threshold", Shape: vector, Value: l.logTheta, Grad: l.gradTheta})
	case c.Arch == Gated:
		l.params = append(l.params, optim.Param{Name: "r_mag", Shape: vector, Value: l.RMag, Grad: l.grad.RMag},
			optim.Param{Name: "b_mag", Shape: vector, Value: l.BMag, Grad: l.grad.BMag})
	case c.Sparsity == PAnneal:
		l.consts = append(l.consts, 1)
	}
	if c.Arch == JumpReLUTanh {
		c.Sparsity = tanhForm
	}
	if l.free() || l.Parts != nil && l.Arch == ReLU {
		l.lengths = make([]float32, l.M)
	}
	if c.Skip {
		l.params = append(l.params, optim.Param{Name: "W_skip", Shape: []int{l.Outputs(), l.D}, Value: l.WSkip, Grad: l.grad.WSkip})
	}
}

// free tells whether directions may have any length.
func (l *Learner) free() bool { return l.Arch.free() }

// steps is the number of optimizer steps taken.
func (l *Learner) steps() int { return l.opt.Steps() }

// State is everything that training goes on from, between two steps.
func (l *Learner) State() *state.Set {
	s := &state.Set{}
	for _, p := range l.params {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	if l.gainOut != nil {
		state.Add(s, "gain_in", l.gainIn)
		state.Add(s, "gain_out", l.gainOut)
	}
	state.Add(s, "since_fired", l.since)
	state.Add(s, "constants", l.consts)
	s.Join("", l.opt.State())
	if l.ema != nil {
		s.Join("", l.ema.State())
	}
	return s
}

// Restored takes over what was loaded into the State.
func (l *Learner) Restored() error {
	l.scale = float32(l.consts[constScale])
	if !(l.scale > 0) || !(l.consts[constVariance] > 0) {
		return fmt.Errorf("sae: scale %v and variance %v of the checkpoint are not positive", l.scale, l.consts[constVariance])
	}
	l.takeTheta()
	l.findDead()
	l.beginWindow()
	return nil
}

// Export is the model as it is now, or its average where there is one, with the scale folded in. It
// shares the weights where they are not averaged.
func (l *Learner) Export() *Model { return l.averaged().folded() }

// averaged is the model with averaged weights, if there are some.
func (l *Learner) averaged() *Model {
	from, ok := l.opt.(optim.Averager)
	if l.ema != nil {
		from, ok = l.ema, true
	}
	if !ok {
		return l.Model
	}
	m := newModel(l.Shape)
	var dst [][]float32
	m.scale, m.gainIn, m.gainOut, m.plain = l.scale, l.gainIn, l.gainOut, l.plain
	copy(m.Theta, l.Theta)
	into := map[string][]float32{"W_enc": m.WEnc, "b_enc": m.BEnc, "W_dec": m.WDec, "b_dec": m.BDec, "r_mag": m.RMag, "b_mag": m.BMag,
		"W_skip": m.WSkip, "log_threshold": m.Theta}
	for _, p := range l.params {
		dst = append(dst, into[p.Name])
	}
	from.Average(dst)
	if l.logTheta != nil {
		for i, v := range m.Theta {
			m.Theta[i] = float32(math.Exp(float64(v)))
		}
	}
	if !l.free() {
		setLengths(m.WDec, m.Outputs(), 1)
	}
	return m
}

// Micro adds the gradients of n rows x [n, Row] to the window. BatchTopK only keeps the rows: what it
// chooses depends on all rows of the window, and Step computes.
func (l *Learner) Micro(x []float32, n int) error {
	if l.Arch.OverBatch() {
		l.held = append(l.held, x[:n*l.Row()]...)
		return nil
	}
	if err := l.take(x, n); err != nil {
		return err
	}
	if err := l.encode(l.work.z, n, &l.work.codes, func(pre []float32) { l.chooseTraining(pre, n) }); err != nil {
		return err
	}
	return l.learn(n)
}

// take brings n rows to the model's units: z, and t where it is another.
func (l *Learner) take(x []float32, n int) (err error) {
	l.reserve(n)
	w := &l.work
	l.centre(w.z, x, n)
	w.t = w.z
	if l.plain {
		w.tOwn = grow(w.tOwn, n*l.Outputs())
		w.t = w.tOwn
		l.aim(w.t, x, n)
	}
	w.skipped, err = l.skip(w.z, n)
	return err
}

// chooseTraining fills the codes that gradients go through.
func (l *Learner) chooseTraining(pre []float32, n int) {
	w := &l.work
	switch {
	case l.Arch.PerRow():
		l.activate(pre, n, &w.codes)
		l.chooseMore(pre, n)
		w.aux.reset(n, min(l.cfg.AuxK, len(l.dead)))
		if w.aux.K > 0 {
			w.aux.chooseAmong(pre, l.M, l.dead)
		}
	case l.Arch.Jumps():
		w.codes.near(pre, n, l.Theta, l.cfg.Bandwidth)
	case l.Arch == Gated:
		l.chooseGated(pre, n)
	default:
		w.codes.above(pre, n, l.M, nil)
	}
}

// learn adds the gradients through the chosen codes of n rows.
func (l *Learner) learn(n int) error {
	if err := l.reconstruct(n); err != nil {
		return err
	}
	w := &l.work
	rows := w.r
	switch {
	case l.Arch == Matryoshka:
		l.backwardNested(n)
		rows = w.nested[0]
	case l.Arch.Revives():
		l.backward(&w.codes, w.r, 2/l.consts[constVariance])
	default:
		l.backwardPenalised(n)
	}
	if err := errors.Join(l.felt(rows, n, 1), l.backwardMore(n)); err != nil {
		return err
	}
	if w.aux.N == n && w.aux.K > 0 && l.consts[constAuxVar] > 0 {
		l.win.auxLoss += l.auxResiduals(n)
		l.backward(&w.aux, w.ra, 2*l.cfg.AuxCoef/l.consts[constAuxVar])
	}
	return nil
}

// reconstruct computes the residuals and the window's sums.
func (l *Learner) reconstruct(n int) error {
	loss := l.residuals(n)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("sae: the reconstruction: %w", optim.ErrNonFinite)
	}
	if l.reborn != nil {
		l.reborn.offer(l, n)
	}
	l.collect(n, loss)
	return nil
}
