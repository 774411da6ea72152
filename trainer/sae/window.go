package sae

// window is what a step adds up over its micro-batches.
type window struct {
	n             int
	loss, auxLoss float64   // Σ‖r‖², Σ‖ê−e‖²
	moreLoss      float64   // Σ‖r‖² of MultiTopK's other choice
	nestedLoss    float64   // mean over prefixes of Σ‖r_j‖²
	paid, next    float64   // ΣP, and with the exponent of the next step
	active        int64     // Σ active latents
	square        []float64 // [out] Σt²
	sumT, sumR    []float64 // [out]
	sumZ          []float64 // [d]
	pull          []float64 // [out] Σ of the residuals as b_d feels them
	fired         []bool    // [M]
	count, sumF   []float64 // [M] rows where the latent is active, Σf_i
	toLength      []float64 // [M] Σ∂P/∂n_i
}

func newWindow(s Shape) window {
	return window{square: make([]float64, s.Outputs()), sumT: make([]float64, s.Outputs()), sumR: make([]float64, s.Outputs()), pull: make([]float64, s.Outputs()),
		sumZ: make([]float64, s.D), fired: make([]bool, s.M), count: make([]float64, s.M), sumF: make([]float64, s.M), toLength: make([]float64, s.M)}
}

// reset empties the sums.
func (w *window) reset() {
	for _, v := range [][]float64{w.square, w.sumT, w.sumR, w.sumZ, w.pull, w.count, w.sumF, w.toLength} {
		clear(v)
	}
	clear(w.fired)
	w.n, w.active = 0, 0
	w.loss, w.auxLoss, w.moreLoss, w.nestedLoss, w.paid, w.next = 0, 0, 0, 0, 0, 0
}

// work is memory used again by every micro-batch.
type work struct {
	z       []float32 // [n, d] what the encoder sees
	t       []float32 // [n, out] what is to be reconstructed; z itself where that is the same
	tOwn    []float32
	skipped []float32 // [n, out] W_skip z, nil without
	r, ra   []float32 // [n, out]
	codes   Codes
	aux     Codes
	more    Codes     // of MultiTopK
	gate    []float32 // of Gated: the gate's value of every entry of codes
	dval    []float32 // ∂f of every entry
	order   byLatent
	rowLoss []float64
	nested  [][]float32 // [prefixes] [n, out]
}

func (l *Learner) reserve(n int) {
	w := &l.work
	w.z = grow(w.z, n*l.D)
	w.r, w.ra = grow(w.r, n*l.Outputs()), grow(w.ra, n*l.Outputs())
	w.rowLoss = grow(w.rowLoss, n)
}

// beginWindow prepares what is fixed during a window.
func (l *Learner) beginWindow() {
	if l.cfg.Sampled && l.Arch == Matryoshka {
		l.prefixes = sampledPrefixes(l.M, l.cfg.Prefixes, l.cfg.Seed, l.steps())
	}
	for i := range l.lengths {
		l.lengths[i] = float32(l.length(i))
	}
	l.reborn = nil
	if l.resamples() {
		l.reborn = newReservoir(len(l.dead), l.from, l.cfg.Seed, l.steps())
	}
}

// endWindow moves the dead counters on, fixes V_a for the next window and empties
// the sums.
func (l *Learner) endWindow() {
	n := float64(l.win.n)
	l.consts[constAuxVar] = deviation(l.win.loss, l.win.sumR, n) / n
	for i, fired := range l.win.fired {
		l.since[i] += int64(l.win.n)
		if fired {
			l.since[i] = 0
		}
	}
	l.resample()
	l.matchPenalty()
	l.findDead()
	for _, p := range l.params {
		clear(p.Grad)
	}
	l.win.reset()
	l.beginWindow()
}

func (l *Learner) findDead() {
	l.dead = l.dead[:0]
	for i, n := range l.since {
		if n >= int64(l.cfg.DeadTokens) {
			l.dead = append(l.dead, int32(i))
		}
	}
}
