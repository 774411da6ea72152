package vq

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// codecLearner is a Codec in training.
type codecLearner struct {
	*Codec
	cfg    Config
	params []optim.Param // encoder, decoder
	adam   *optim.Adam
	stat   *stat   // of IRIS's codebook, else nil
	mover  *mover  // the same
	steps  []int64 // one element: optimizer steps so far
	ranks  ranks.Ranks

	// The window.
	seen   tally
	spread spread
	recon  float64 // the loss of the target
}

func newCodecLearner(dims Dims, cfg Config) (*codecLearner, error) {
	if err := cfg.nets(); err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	l := &codecLearner{Codec: newCodec(cfg, dims), cfg: cfg, steps: make([]int64, 1), ranks: ranks.Alone{}}
	l.params = append(l.enc.params("encoder"), l.dec.params("decoder")...)
	if l.book != nil {
		l.stat = newStat(l.book)
		l.mover = newMover(l.stat)
	}
	l.adam = optim.NewAdam(l.params)
	l.begin()
	return l, nil
}

// begin empties the window.
func (l *codecLearner) begin() {
	for _, p := range l.params {
		clear(p.Grad)
	}
	if l.stat != nil {
		l.stat.begin(l.cfg.Seed, uint64(l.steps[0]))
	}
	l.seen, l.spread, l.recon = newTally(l.dims), newSpread(l.dims.Row), 0
}

// Init sets the frame, the networks and the codebook from n sample rows.
func (l *codecLearner) Init(sample []float32, n int) error {
	if err := l.fit(sample, n); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(l.cfg.Seed, 0x7e4))
	l.enc.randomise(r)
	l.dec.randomise(r)
	u, err := l.encoded(l.in(sample, n), n)
	if err != nil {
		return err
	}
	l.level(u)
	if l.stat == nil {
		return nil
	}
	return l.stat.init(u, n*l.dims.Ids, l.cfg.Batch*l.dims.Ids, l.cfg)
}

// encoded is the encoder's output for z [n, D].
func (l *codecLearner) encoded(z []float32, n int) (u []float32, err error) {
	err = torch.Do(func(s *torch.Scope) error {
		u = append(u, l.enc.apply(s, torch.WrapFloat32(s, z, int64(n), int64(l.dims.Row)), plain(s)).Float32s()...)
		return nil
	})
	return u, err
}

// level brings the encoder's output u to a mean square of 1.
func (l *codecLearner) level(u []float32) {
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
func (l *codecLearner) State() *state.Set {
	s := &state.Set{}
	l.frame.state(s)
	for _, p := range append(l.enc.params("encoder"), l.dec.params("decoder")...) {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	if l.stat != nil {
		l.stat.state(s, "book.")
		s.Join("codebook_", l.mover.State())
	}
	s.Join("", l.adam.State())
	state.Add(s, "steps", l.steps)
	return s
}

// Restored takes over what was loaded into the State.
func (l *codecLearner) Restored() error {
	l.begin()
	return nil
}

// Export is the tokenizer as it is now. It shares the weights.
func (l *codecLearner) Export() Coder {
	c := *l.Codec
	c.z, c.q, c.ids = nil, nil, nil
	return &c
}

// Micro adds the gradients and statistics of n rows x [n, D], as sums, to the window.
func (l *codecLearner) Micro(x []float32, n int) error {
	z, m := l.in(x, n), n*l.dims.Ids
	l.ids, l.q = grow(l.ids, m), grow(l.q, n*l.middle())
	l.spread.rowsSeen(z)
	return torch.DoGrad(func(s *torch.Scope) error {
		t := newTape(s, l.params)
		defer t.free()
		rows := torch.WrapFloat32(s, z, int64(n), int64(l.dims.Row))
		u := s.View(l.enc.apply(s, rows, t.wrap), int64(m), int64(l.piece))
		if err := l.quantise(s.Detach(u).Float32s(), m); err != nil {
			return err
		}
		q := torch.WrapFloat32(s, l.q, int64(m), int64(l.piece))
		out := l.dec.apply(s, s.View(l.through(s, u, q), int64(n), int64(l.middle())), t.wrap)
		recon := s.MulScalar(l.target.loss(s, out, z), 1/float64(l.dims.Row))
		t.gather(s.Add(recon, l.commitment(s, u, q)))
		l.recon += recon.Item()
		l.spread.left(s.Minus(rows, l.target.value(s, s.Detach(out))).Float32s())
		l.seen.add(l.ids, n)
		return l.finite()
	})
}

// quantise sets ids and q of u [m, w].
func (l *codecLearner) quantise(u []float32, m int) error {
	if err := l.quant.ids(u, m, l.ids); err != nil {
		return err
	}
	l.quant.vectors(l.ids, m, l.q)
	if l.stat == nil {
		return nil
	}
	return l.stat.add(u, l.ids)
}

// through is q with the gradient of the smooth function of u.
func (l *codecLearner) through(s *torch.Scope, u, q *torch.Tensor) *torch.Tensor {
	f := l.quant.smooth(s, u)
	return s.Add(f, s.Detach(s.Minus(q, f)))
}

// commitment is β·Σ‖u − sg(q)‖² over the values of a row; FSQ has none.
func (l *codecLearner) commitment(s *torch.Scope, u, q *torch.Tensor) *torch.Tensor {
	if l.stat == nil {
		return torch.FromFloat32(s, []float32{0}, 1)
	}
	return s.MulScalar(s.Sum(s.Square(s.Minus(u, q))), l.cfg.Beta/float64(l.middle()))
}

func (l *codecLearner) finite() error {
	if e := l.spread.error + l.recon; e-e != 0 {
		return fmt.Errorf("vq: the error of the reconstruction: %w", optim.ErrNonFinite)
	}
	return nil
}

// Step ends the window with one step of the optimizers on the mean over its rows, and revives
// dead codes.
func (l *codecLearner) Step(lr float64) (map[string]float64, error) {
	if err := l.gather(); err != nil {
		return nil, err
	}
	if l.seen.rows == 0 {
		return nil, errors.New("vq: a step without rows")
	}
	m := l.metrics()
	if l.mover != nil {
		l.mover.gradient(1 / float64(l.middle()))
	}
	all := l.all()
	if name := optim.NonFinite(all); name != "" {
		return nil, fmt.Errorf("vq: the gradient of %s: %w", name, optim.ErrNonFinite)
	}
	scale := 1 / float64(l.seen.rows)
	m["grad_norm"] = optim.Norm(all) * scale
	scale *= optim.Clip(m["grad_norm"], l.cfg.Clip)
	l.adam.Step(lr, scale)
	if l.mover != nil {
		l.mover.Step(lr, scale)
		l.stat.average(l.cfg.Decay)
		revived, err := l.stat.revive(l.cfg.Dead, l.ranks)
		if err != nil {
			return nil, err
		}
		m["revived"] = float64(len(revived))
		l.mover.forget(revived)
	}
	l.steps[0]++
	l.begin()
	return m, nil
}

// all are the parameters of the networks and the codebook.
func (l *codecLearner) all() []optim.Param {
	if l.mover == nil {
		return l.params
	}
	return append(slices.Clone(l.params), l.mover.param)
}

// metrics of the window: recon, the loss of the reconstruction; of IRIS commit too,
// which is the value of commitment and codebook loss alike; and loss, their sum.
func (l *codecLearner) metrics() map[string]float64 {
	m := l.seen.metrics()
	l.spread.metrics(m)
	n := float64(l.seen.rows)
	m["recon"] = l.recon / n
	m["loss"] = m["recon"]
	if l.stat != nil {
		m["commit"] = l.stat.error / (n * float64(l.middle()))
		m["loss"] += (1 + l.cfg.Beta) * m["commit"]
	}
	return m
}
