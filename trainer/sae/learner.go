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
	constOwn = consts // a variant's own number, which the files of the others do not have
)

// Learner is a Model in training. One goroutine uses it.
type Learner struct {
	*Model
	cfg     Config
	arch    architecture
	variant variant
	control *control // of λ; nil without
	grad    *Model   // gradients, summed over the rows of the batch
	params  []optim.Param
	opt     optim.Optimizer
	ema     *optim.EMA // nil without
	since   []int64    // [M] rows since the latent fired, up to the last step
	dead    []int32    // latents that are dead during this batch
	consts  []float64
	batch   batch
	work    work
	drawn   *reservoir // rows that dead latents begin anew from after this batch, nil when they do not

	device *onDevice // trains with tensors; nil with the learner's own arrays
	ranks  ranks.Ranks
	from   int // place in the batch of this rank's first row
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
	arch, _ := cfg.Arch.lookup()
	if err := cfg.check(arch, s); err != nil {
		return nil, fmt.Errorf("sae: %w", err)
	}
	l := &Learner{Model: newModel(s), cfg: cfg, arch: arch, grad: newModel(s), since: make([]int64, s.M),
		consts: make([]float64, consts), batch: newBatch(s), ranks: ranks.Alone{}}
	l.plain = l.plain || arch.free || cfg.Untied
	l.variant = arch.variant(l)
	l.control = newControl(l)
	l.params = append(l.params,
		optim.Param{Name: "W_enc", Shape: []int{s.M, s.D}, Value: l.WEnc, Grad: l.grad.WEnc},
		optim.Param{Name: "b_enc", Shape: []int{s.M}, Value: l.BEnc, Grad: l.grad.BEnc},
		optim.Param{Name: "W_dec", Shape: []int{s.M, s.Outputs()}, Value: l.WDec, Grad: l.grad.WDec},
		optim.Param{Name: "b_dec", Shape: []int{s.Outputs()}, Value: l.BDec, Grad: l.grad.BDec})
	l.params = append(l.params, l.variant.params()...)
	if cfg.Skip {
		shape := []int{s.Outputs(), s.D}
		l.params = append(l.params, optim.Param{Name: "W_skip", Shape: shape, Value: l.WSkip, Grad: l.grad.WSkip})
	}
	l.makeGains()
	var err error
	if l.opt, err = optim.New(cfg.Optimizer, l.params); err != nil {
		return nil, fmt.Errorf("sae: %w", err)
	}
	if cfg.EMA > 0 {
		l.ema = optim.NewEMA(l.params, cfg.EMA)
	}
	return l, nil
}

// Distribute makes the learner one of several, each with the same weights, which all-reduce their gradients at the end
// of every step. The rows it is given are those of a batch from place from on. It comes before Init and Restored.
func (l *Learner) Distribute(r ranks.Ranks, from int) { l.ranks, l.from = r, from }

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

// Fetch brings what lies on a device to the arrays of the State and of Export, which have what there was at the last
// Fetch, Init or Restored.
func (l *Learner) Fetch() error {
	if l.device == nil {
		return nil
	}
	return l.device.fetch()
}

// Free ends what lies on a device; the learner trains no more.
func (l *Learner) Free() {
	if l.device != nil {
		l.device.free()
	}
}

// Restored takes over what was loaded into the State.
func (l *Learner) Restored() error {
	l.scale = float32(l.consts[constScale])
	if !(l.scale > 0) || !(l.consts[constVariance] > 0) {
		return fmt.Errorf("sae: scale %v and variance %v of the checkpoint are not positive", l.scale, l.consts[constVariance])
	}
	l.variant.sync()
	l.findDead()
	return l.ready()
}

// ready prepares the first batch.
func (l *Learner) ready() error {
	l.beginBatch()
	if l.device == nil {
		return nil
	}
	return l.device.put()
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
	m.scale, m.gainIn, m.gainOut, m.plain = l.scale, l.gainIn, l.gainOut, l.plain
	copy(m.Theta, l.Theta)
	arrays := map[string][]float32{"W_enc": m.WEnc, "b_enc": m.BEnc, "W_dec": m.WDec, "b_dec": m.BDec,
		"r_mag": m.RMag, "b_mag": m.BMag, "W_skip": m.WSkip, logThreshold: m.Theta}
	var dst [][]float32
	for _, p := range l.params {
		dst = append(dst, arrays[p.Name])
	}
	from.Average(dst)
	l.variant.average(m)
	if !l.arch.free {
		setLengths(m.WDec, m.Outputs(), 1)
	}
	return m
}

// FitThreshold sets the threshold of what Export gives, with BatchTopK and Matryoshka, so that on n training rows
// x [n, Row] the mean number of active latents is K. The moving average of training lags behind: after a hundred steps it
// lets through half as many latents again. Others have nothing to fit.
func (l *Learner) FitThreshold(x []float32, n int) error {
	v, ok := l.variant.(fitted)
	if !ok || n == 0 {
		return nil
	}
	theta, err := threshold(l.averaged(), x, n)
	if err == nil {
		v.setTheta(float64(theta))
	}
	return err
}

// FitsThreshold tells whether FitThreshold does something.
func (l *Learner) FitsThreshold() bool { _, ok := l.variant.(fitted); return ok }

// Micro adds the gradients of n rows x [n, Row] to the batch. BatchTopK and Matryoshka only keep the rows: what they
// choose depends on all rows of the batch, and Step computes.
func (l *Learner) Micro(x []float32, n int) error {
	if l.device != nil {
		return l.device.micro(x, n)
	}
	return l.variant.micro(x, n)
}

// Step ends the batch: one optimizer step with the gradients of all its rows divided by their number. It returns the
// batch's metrics.
func (l *Learner) Step(lr float64) (map[string]float64, error) {
	step := l.step
	if l.device != nil {
		step = l.device.step
	}
	norm, err := step(lr)
	if err != nil {
		return nil, err
	}
	l.variant.sync()
	m := l.metrics(norm)
	return m, l.endBatch()
}

var errNoRows = errors.New("sae: a step without rows")

// step takes the optimizer's step and returns the norm of the gradient.
func (l *Learner) step(lr float64) (norm float64, err error) {
	if err := l.variant.flush(); err != nil {
		return 0, err
	}
	if err := l.allReduce(); err != nil {
		return 0, err
	}
	if l.batch.n == 0 {
		return 0, errNoRows
	}
	l.finishGradients()
	inv := 1 / float64(l.batch.n)
	norm = optim.Norm(l.params) * inv
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return 0, fmt.Errorf("sae: the gradient of %s: %w", optim.NonFinite(l.params), optim.ErrNonFinite)
	}
	l.opt.Step(lr, inv*optim.Clip(norm*l.consts[constVariance], l.cfg.Clip))
	l.unitRows()
	if l.ema != nil {
		l.ema.Add()
	}
	for _, p := range l.params {
		clear(p.Grad)
	}
	return norm, nil
}

// allReduce makes the gradients and the sums of the batch those of all ranks.
func (l *Learner) allReduce() error {
	if !ranks.Distributed(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, p := range l.params {
		b.Floats(p.Grad)
	}
	l.batch.sums(&b)
	l.variant.sums(&b)
	if err := b.AllReduce(l.ranks); err != nil {
		return err
	}
	if l.drawn != nil {
		return l.drawn.allReduce(l)
	}
	return nil
}

// metrics are those of the batch, and the norm of its gradient.
func (l *Learner) metrics(norm float64) map[string]float64 {
	n, b := float64(l.batch.n), &l.batch
	m := map[string]float64{
		"loss": b.loss / (n * l.consts[constVariance]),
		"fvu":  b.fvu(),
		"l0":   float64(b.active) / n,
		"dead": float64(len(l.dead)),
		"grad": norm,
	}
	l.variant.metrics(m, n)
	if l.control != nil {
		m["lambda"] = l.cfg.Penalty * l.control.factor()
	}
	return m
}

// endBatch moves the dead counters on, fixes V_a for the next batch and empties the sums.
func (l *Learner) endBatch() error {
	l.consts[constAuxVar] = l.batch.residualVariance()
	l.control.batch(float64(l.batch.active) / float64(l.batch.n))
	for i, fired := range l.batch.fired {
		l.since[i] += int64(l.batch.n)
		if fired {
			l.since[i] = 0
		}
	}
	err := l.resample()
	l.findDead()
	l.batch.reset()
	l.beginBatch()
	return err
}

// resample lets dead latents begin anew, if it is time.
func (l *Learner) resample() error {
	if l.drawn == nil {
		return nil
	}
	if err := l.Fetch(); err != nil {
		return err
	}
	l.drawn.resample(l)
	l.variant.sync()
	if l.device == nil {
		return nil
	}
	return l.device.put()
}

func (l *Learner) findDead() {
	l.dead = l.dead[:0]
	for i, n := range l.since {
		if n >= int64(l.cfg.DeadTokens) {
			l.dead = append(l.dead, int32(i))
		}
	}
}

// beginBatch prepares what is fixed during a batch.
func (l *Learner) beginBatch() {
	l.variant.beginBatch()
	l.drawn = newReservoir(l)
}
