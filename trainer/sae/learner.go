package sae

import (
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

// Config says what is trained.
type Config struct {
	Arch       Arch    // "" is TopK
	Width      int     // M
	K          int     // active latents of a row; of TopK and BatchTopK
	Penalty    float64 // λ of the ReLUs and of JumpReLU
	Rise       int     // steps over which λ rises from 0
	Groups     int     // prefixes of Matryoshka
	Bandwidth  float64 // ε of JumpReLU
	Theta      float64 // θ of JumpReLU at the start
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
	constTheta = consts // θ of BatchTopK, −1 before the first step; TopK's files have no such number
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

	logTheta, gradTheta []float32 // [M] of JumpReLU
	held                []float32 // rows of a BatchTopK window
	prefixes            []int     // of Matryoshka
	guess               float32   // where its next choice begins to look; decides the time alone
}

// window is what a step adds up over its micro-batches.
type window struct {
	n             int
	loss, auxLoss float64   // Σ‖r‖², Σ‖ê−e‖²
	active        int64     // Σ active latents
	square        []float64 // [d] Σz²
	sumZ, sumR    []float64 // [d]
	fired         []bool    // [M]
	sumF          []float64 // [M] Σf_i
	nestedLoss    float64   // mean over prefixes of Σ‖r_j‖²
	sumNested     []float64 // [d] sum of the mean over prefixes of r_j
}

// work is memory used again by every micro-batch.
type work struct {
	z, r, ra   []float32 // [n, d]
	codes, aux Codes
	dval       []float32 // [n, k] ∂f
	order      byLatent
	rowLoss    []float64
	nested     [][]float32 // [prefixes] [n, d]
}

// New makes a learner for vectors of length d. It must be given Init or a State
// before the first Micro.
func New(d int, cfg Config) (*Learner, error) {
	if cfg.Arch == "" {
		cfg.Arch = TopK
	}
	if d < 1 || cfg.Width < 1 || cfg.K < 1 || cfg.K > cfg.Width || cfg.AuxK < 0 {
		return nil, fmt.Errorf("sae: width %d, k %d and aux_k %d over vectors of %d do not fit", cfg.Width, cfg.K, cfg.AuxK, d)
	}
	l := &Learner{Model: newModel(cfg.Arch, d, cfg.Width, cfg.K), cfg: cfg, grad: newModel(cfg.Arch, d, cfg.Width, cfg.K),
		since: make([]int64, cfg.Width), consts: make([]float64, consts)}
	l.plain = cfg.Arch.free()
	l.win = window{square: make([]float64, d), sumZ: make([]float64, d), sumR: make([]float64, d),
		fired: make([]bool, cfg.Width), sumF: make([]float64, cfg.Width), sumNested: make([]float64, d)}
	l.params = []optim.Param{
		{Name: "W_enc", Shape: []int{l.M, d}, Value: l.WEnc, Grad: l.grad.WEnc},
		{Name: "b_enc", Shape: []int{l.M}, Value: l.BEnc, Grad: l.grad.BEnc},
		{Name: "W_dec", Shape: []int{l.M, d}, Value: l.WDec, Grad: l.grad.WDec},
		{Name: "b_dec", Shape: []int{d}, Value: l.BDec, Grad: l.grad.BDec},
	}
	if err := l.prepareArch(); err != nil {
		return nil, err
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
	l.takeTheta()
	l.findDead()
	return nil
}

// Export is the model as it is now, with the scale folded in. It shares the weights.
func (l *Learner) Export() *Model { return l.folded() }

// Micro adds the gradients of n rows x [n, D] to the window. BatchTopK only keeps the rows: what it
// chooses depends on all rows of the window, and Step computes.
func (l *Learner) Micro(x []float32, n int) error {
	switch {
	case l.Arch == TopK:
		return l.microTopK(x, n)
	case l.Arch.OverBatch():
		l.held = append(l.held, x[:n*l.D]...)
		return nil
	}
	return l.microPenalised(x, n)
}

func (l *Learner) microTopK(x []float32, n int) error {
	l.reserve(n)
	w := &l.work
	l.centre(w.z, x, n)
	k := min(l.cfg.AuxK, len(l.dead))
	err := l.encode(w.z, n, func(pre []float32) {
		w.codes.reset(n, l.K)
		w.codes.choose(pre, l.M)
		w.aux.reset(n, k)
		if k > 0 {
			w.aux.chooseAmong(pre, l.M, l.dead)
		}
	})
	if err != nil {
		return err
	}
	return l.learn(n)
}

// learn adds the gradients through the chosen codes of n rows.
func (l *Learner) learn(n int) error {
	if err := l.reconstruct(n); err != nil {
		return err
	}
	w := &l.work
	if l.Arch == Matryoshka {
		l.backwardNested(n)
	} else {
		l.backward(&w.codes, w.r, 2/l.consts[constVariance])
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
	l.collect(n, loss)
	return nil
}

func (l *Learner) reserve(n int) {
	w, size := &l.work, n*l.D
	w.z, w.r, w.ra = grow(w.z, size), grow(w.r, size), grow(w.ra, size)
	w.rowLoss = grow(w.rowLoss, n)
}
