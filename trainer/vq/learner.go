package vq

import (
	"errors"
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

// Config says what is trained.
type Config struct {
	Codes int     // K
	Decay float64 // γ
	Beta  float64 // weight of the commitment loss in the reported loss
	Dead  float64 // share of the mean use below which a code is revived; 0 is never
	Lloyd int     // steps of k-means at the start
	Batch int     // rows of an optimizer step, to weigh the start against them
	Seed  uint64
}

// epsilon is ε of the smoothing.
const epsilon = 1e-5

// Learner is a Model in training.
type Learner struct {
	*Model
	cfg   Config
	n     []float64 // [K] N_k
	s     []float64 // [K, D] S_k
	steps []int64   // one element: optimizer steps so far
	win   window
	codes []int32
}

// window is what a step adds up over its micro-batches.
type window struct {
	rows   int
	count  []int64   // [K] n_k
	sum    []float64 // [K, D] Σ z
	error  float64   // Σ‖z−e‖²
	square float64   // Σ‖z‖²
	total  []float64 // [D] Σ z
	spare  reservoir // rows for dead codes
}

// New makes a learner for vectors of length d. It must be given Init or a State
// before the first Micro.
func New(d int, cfg Config) (*Learner, error) {
	if d < 1 || cfg.Codes < 2 || !(cfg.Decay > 0 && cfg.Decay < 1) || !(cfg.Dead >= 0) {
		return nil, fmt.Errorf("vq: %d codes with decay %v over vectors of %d do not fit", cfg.Codes, cfg.Decay, d)
	}
	k := cfg.Codes
	l := &Learner{Model: newModel(d, k), cfg: cfg, n: make([]float64, k), s: make([]float64, k*d), steps: make([]int64, 1)}
	l.win = window{count: make([]int64, k), sum: make([]float64, k*d), total: make([]float64, d)}
	l.Restored()
	return l, nil
}

// State is everything that training goes on from, between two steps.
func (l *Learner) State() *state.Set {
	s := &state.Set{}
	state.Add(s, "codes", l.Codes, l.K, l.D)
	state.Add(s, "centre", l.Centre)
	state.Add(s, "ema_count", l.n)
	state.Add(s, "ema_sum", l.s, l.K, l.D)
	state.Add(s, "steps", l.steps)
	return s
}

// maxSpare bounds the codes revived in one step.
const maxSpare = 256

// Restored takes over what was loaded into the State.
func (l *Learner) Restored() error {
	l.win.spare = newReservoir(min(l.K, maxSpare), l.D, l.cfg.Seed, uint64(l.steps[0]))
	return nil
}

// Export is the model as it is now. It shares the codes.
func (l *Learner) Export() *Model {
	return &Model{D: l.D, K: l.K, Codes: l.Codes, Centre: l.Centre}
}

// Micro adds the statistics of n rows x [n, D] to the window.
func (l *Learner) Micro(x []float32, n int) error {
	z := l.centred(x, n)
	l.codes = grow(l.codes, n)
	if err := l.nearest(z, n, l.codes); err != nil {
		return err
	}
	w := &l.win
	for i, k := range l.codes {
		row := z[i*l.D : (i+1)*l.D]
		w.add(row, l.code(int(k)), int(k))
		w.spare.offer(row, uint64(w.rows))
		w.rows++
	}
	if math.IsNaN(w.error) || math.IsInf(w.error, 0) {
		return fmt.Errorf("vq: the distance to the codes: %w", optim.ErrNonFinite)
	}
	return nil
}

func (w *window) add(z, code []float32, k int) {
	w.count[k]++
	sum := w.sum[k*len(z) : (k+1)*len(z)]
	for j, v := range z {
		a, r := float64(v), float64(v-code[j])
		sum[j] += a
		w.total[j] += a
		w.square += a * a
		w.error += r * r
	}
}

// Step ends the window: the moving averages take its statistics once, and dead
// codes are revived. The learning rate plays no part.
func (l *Learner) Step(float64) (map[string]float64, error) {
	if l.win.rows == 0 {
		return nil, errors.New("vq: a step without rows")
	}
	m := l.metrics()
	l.average()
	l.updateCodes()
	m["revived"] = float64(l.revive())
	l.steps[0]++
	l.endWindow()
	return m, nil
}

// average moves N and S.
func (l *Learner) average() {
	g := l.cfg.Decay
	for k, c := range l.win.count {
		l.n[k] = g*l.n[k] + (1-g)*float64(c)
	}
	for i, v := range l.win.sum {
		l.s[i] = g*l.s[i] + (1-g)*v
	}
}

// smoothed is Ñ.
func smoothed(n []float64) []float64 {
	var sum float64
	for _, v := range n {
		sum += v
	}
	out := make([]float64, len(n))
	for k, v := range n {
		out[k] = (v + epsilon) / (sum + float64(len(n))*epsilon) * sum
	}
	return out
}

// updateCodes sets e_k = S_k/Ñ_k. A code that nothing uses any more keeps its place
// rather than fall to the centre.
func (l *Learner) updateCodes() {
	for k, n := range smoothed(l.n) {
		if l.n[k] < epsilon {
			continue
		}
		for j := range l.D {
			l.Codes[k*l.D+j] = float32(l.s[k*l.D+j] / n)
		}
	}
}

// revive moves dead codes onto rows of the window and returns how many.
func (l *Learner) revive() (revived int) {
	var sum float64
	for _, v := range l.n {
		sum += v
	}
	mean := sum / float64(l.K)
	rows := l.win.spare.rows()
	for k := range l.n {
		if l.n[k] >= l.cfg.Dead*mean || revived == len(rows) {
			continue
		}
		copy(l.code(k), rows[revived])
		l.n[k] = mean
		for j, v := range rows[revived] {
			l.s[k*l.D+j] = mean * float64(v)
		}
		revived++
	}
	return revived
}

func (l *Learner) metrics() map[string]float64 {
	w := &l.win
	n := float64(w.rows)
	commit := w.error / (n * float64(l.D))
	m := usage(w.count)
	m["commit"], m["loss"] = commit, (1+l.cfg.Beta)*commit
	if dev := w.square - squares(w.total)/n; dev > 0 {
		m["fvu"] = w.error / dev
	}
	return m
}

func squares(v []float64) (sum float64) {
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// usage is the entropy in bits, the perplexity and the share of used codes.
func usage(count []int64) map[string]float64 {
	var n, used, h float64
	for _, c := range count {
		n += float64(c)
	}
	for _, c := range count {
		if c > 0 {
			used++
			h -= float64(c) / n * math.Log2(float64(c)/n)
		}
	}
	return map[string]float64{"entropy": h, "perplexity": math.Exp2(h), "usage": used / float64(len(count))}
}

func (l *Learner) endWindow() {
	w := &l.win
	clear(w.count)
	clear(w.sum)
	clear(w.total)
	w.spare.reset(uint64(l.steps[0]))
	*w = window{count: w.count, sum: w.sum, total: w.total, spare: w.spare}
}
