package vq

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// vqvaeLearner is a VQVAE in training.
type vqvaeLearner struct {
	*VQVAE
	cfg      Config
	params   []optim.Param // encoder, decoder
	adam     *optim.Adam
	training quantiserTraining
	steps    []int64 // one element: optimizer steps so far
	ranks    ranks.Ranks
	place    int // of this rank's first row in the batch

	// The batch.
	used  idStats
	left  residualStats
	recon float64 // the loss of the target
}

// quantiserTraining is what a quantiser learns, and from what.
type quantiserTraining interface {
	// startBatch empties the batch for a step. The rows of u that will be added are those
	// of the batch of all ranks from place from on.
	startBatch(step uint64, from int)
	// init sets it from what the encoder gives for the sample, u [m, w].
	init(u []float32, m int) error
	// add takes u [m, w] and its ids into the batch.
	add(u []float32, ids []int32) error
	// loss is recon and what it adds to that, summed over the rows, with the ids' vectors q.
	loss(s *torch.Scope, recon, u, q *torch.Tensor) *torch.Tensor
	// offer gives what the batch adds up to be summed over the ranks.
	offer(b *ranks.Bucket)
	// params are its parameters with the gradients of the batch, as sums.
	params() []optim.Param
	// metrics adds those of the batch to recon's.
	metrics(m map[string]float64)
	// step moves the parameters by their gradients times scale and ends the batch.
	step(lr, scale float64, r ranks.Ranks, m map[string]float64) error
	// save adds what it remembers from step to step to a State.
	save(s *state.Set)
}

// netRate is the learning rate of encoder and decoder. On the residual stream of the model
// in examples/, 300 steps, 1e-2 was the best of 1e-3, 2e-3, 5e-3, 1e-2 and 2e-2, and 2e-2 far
// worse, so they get half of it.
const netRate = 5e-3

func newVQVAELearner(a vqvaeArch, c Config, d Dims) (*vqvaeLearner, error) {
	v, err := newVQVAE(a, c, d)
	if err != nil {
		return nil, err
	}
	l := &vqvaeLearner{VQVAE: v, cfg: c, steps: make([]int64, 1), ranks: ranks.Alone{}}
	if l.training, err = a.training(c, v); err != nil {
		return nil, err
	}
	l.params = append(l.enc.params("encoder"), l.dec.params("decoder")...)
	l.adam = optim.NewAdam(l.params)
	l.startBatch()
	return l, nil
}

// startBatch empties the batch.
func (l *vqvaeLearner) startBatch() {
	for _, p := range l.params {
		clear(p.Grad)
	}
	l.training.startBatch(uint64(l.steps[0]), l.place*l.dims.Ids)
	l.used, l.left, l.recon = newIDStats(l.dims), newResidualStats(l.dims.Row), 0
}

// Distribute makes the learner one of several.
func (l *vqvaeLearner) Distribute(r ranks.Ranks, from int) {
	l.ranks, l.place = r, from
	l.startBatch()
}

// Init sets centre and scale, the networks and the quantiser from n sample rows.
func (l *vqvaeLearner) Init(sample []float32, n int) error {
	if err := l.fit(sample, n); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(l.cfg.Seed, 0x7e4))
	l.enc.randomise(r)
	l.dec.randomise(r)
	u, err := l.encoded(l.apply(sample, n), n)
	if err != nil {
		return err
	}
	l.normalise(u)
	return l.training.init(u, n*l.dims.Ids)
}

// encoded is the encoder's output for z [n, D].
func (l *vqvaeLearner) encoded(z []float32, n int) (u []float32, err error) {
	err = torch.Do(func(s *torch.Scope) error {
		u = append(u, l.enc.apply(s, torch.WrapFloat32(s, z, int64(n), int64(l.dims.Row)), plain(s)).Float32s()...)
		return nil
	})
	return u, err
}

// normalise brings the encoder's output u to a mean square of 1.
func (l *vqvaeLearner) normalise(u []float32) {
	rms := float32(math.Sqrt(squareNorm(u) / float64(len(u))))
	if !(rms > 0) {
		return
	}
	for _, v := range [][]float32{l.enc[len(l.enc)-1].w, u} {
		for i := range v {
			v[i] /= rms
		}
	}
}

// State is everything that training goes on from, between two steps.
func (l *vqvaeLearner) State() *state.Set {
	s := &state.Set{}
	l.standardizer.state(s)
	for _, p := range l.params {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	l.training.save(s)
	s.Join("", l.adam.State())
	state.Add(s, "steps", l.steps)
	return s
}

// Restored takes over what was loaded into the State.
func (l *vqvaeLearner) Restored() error {
	l.startBatch()
	return nil
}

// Export is the tokenizer as it is now. It shares the weights.
func (l *vqvaeLearner) Export() Coder {
	c := *l.VQVAE
	c.z, c.q, c.ids = nil, nil, nil
	return &c
}

// Micro adds the gradients and statistics of n rows x [n, D], as sums, to the batch.
func (l *vqvaeLearner) Micro(x []float32, n int) error {
	z, m := l.apply(x, n), n*l.dims.Ids
	l.ids, l.q = grow(l.ids, m), grow(l.q, n*l.latent())
	l.left.addRows(z)
	return torch.DoGrad(func(s *torch.Scope) error {
		t := newTape(s, l.params)
		defer t.free()
		rows := torch.WrapFloat32(s, z, int64(n), int64(l.dims.Row))
		u := s.View(l.enc.apply(s, rows, t.wrap), int64(m), int64(l.width))
		if err := l.quantise(s.Detach(u).Float32s(), m); err != nil {
			return err
		}
		q := torch.WrapFloat32(s, l.q, int64(m), int64(l.width))
		out := l.dec.apply(s, s.View(l.through(s, u, q), int64(n), int64(l.latent())), t.wrap)
		recon := s.MulScalar(l.target.loss(s, out, z), 1/float64(l.dims.Row))
		t.backward(l.training.loss(s, recon, u, q))
		l.recon += recon.Item()
		l.left.addResiduals(s.Minus(rows, l.target.value(s, s.Detach(out))).Float32s())
		l.used.add(l.ids, n)
		return l.finite()
	})
}

// quantise sets ids and q of u [m, w].
func (l *vqvaeLearner) quantise(u []float32, m int) error {
	if err := l.quant.ids(u, m, l.ids); err != nil {
		return err
	}
	l.quant.vectors(l.ids, m, l.q)
	return l.training.add(u, l.ids)
}

// through is q with the gradient of the smooth function of u.
func (l *vqvaeLearner) through(s *torch.Scope, u, q *torch.Tensor) *torch.Tensor {
	f := l.quant.smooth(s, u)
	return s.Add(f, s.Detach(s.Minus(q, f)))
}

func (l *vqvaeLearner) finite() error {
	if e := l.left.error + l.recon; e-e != 0 {
		return fmt.Errorf("vq: the error of the reconstruction: %w", optim.ErrNonFinite)
	}
	return nil
}

// allReduce makes the gradients and the batch those of all ranks.
func (l *vqvaeLearner) allReduce() error {
	if !ranks.Distributed(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, p := range l.params {
		b.Floats(p.Grad)
	}
	l.training.offer(&b)
	l.used.offer(&b)
	l.left.offer(&b)
	ranks.Number(&b, &l.recon)
	return b.AllReduce(l.ranks)
}

// Step ends the batch with one step of the optimizers on the mean over its rows.
func (l *vqvaeLearner) Step(lr float64) (map[string]float64, error) {
	if err := l.allReduce(); err != nil {
		return nil, err
	}
	if l.used.rows == 0 {
		return nil, errNoRows
	}
	m := l.metrics()
	all := append(slices.Clone(l.params), l.training.params()...)
	if name := optim.NonFinite(all); name != "" {
		return nil, fmt.Errorf("vq: the gradient of %s: %w", name, optim.ErrNonFinite)
	}
	scale := 1 / float64(l.used.rows)
	m["grad_norm"] = optim.Norm(all) * scale
	scale *= optim.Clip(m["grad_norm"], l.cfg.Clip)
	l.adam.Step(lr, scale)
	if err := l.training.step(lr, scale, l.ranks, m); err != nil {
		return nil, err
	}
	l.steps[0]++
	l.startBatch()
	return m, nil
}

// metrics of the batch: recon, the loss of the reconstruction, and loss, with what the
// training of the quantiser adds.
func (l *vqvaeLearner) metrics() map[string]float64 {
	m := l.used.metrics()
	l.left.metrics(m)
	m["recon"] = l.recon / float64(l.used.rows)
	m["loss"] = m["recon"]
	l.training.metrics(m)
	return m
}
