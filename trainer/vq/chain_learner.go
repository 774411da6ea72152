package vq

import (
	"errors"
	"fmt"

	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// chainLearner is a Chain in training.
type chainLearner struct {
	*Chain
	cfg   Config
	stats []*stat // one for every book
	mover *mover  // of Gradient, else nil
	steps []int64 // one element: optimizer steps so far
	ids   []int32
	ranks ranks.Ranks

	// The window.
	seen   tally
	spread spread
}

func newChainLearner(dims Dims, cfg Config) *chainLearner {
	l := &chainLearner{Chain: newChain(cfg.Arch, dims), cfg: cfg, steps: make([]int64, 1), ranks: ranks.Alone{}}
	for t := range l.books {
		l.stats = append(l.stats, newStat(&l.books[t]))
	}
	if cfg.Arch == Gradient {
		l.mover = newMover(l.stats[0])
	}
	l.begin()
	return l
}

// begin empties the window.
func (l *chainLearner) begin() {
	for t, s := range l.stats {
		s.begin(l.cfg.Seed^hash(uint64(t)), uint64(l.steps[0]))
	}
	l.seen, l.spread = newTally(l.dims), newSpread(l.dims.Row)
}

// Init sets the frame, then every book in turn, from n sample rows.
func (l *chainLearner) Init(sample []float32, n int) error {
	if err := l.fit(sample, n); err != nil {
		return err
	}
	z, ids := l.in(sample, n), make([]int32, n*l.dims.Ids)
	for t, s := range l.stats {
		if err := s.init(l.cut(z, n, t), n, l.cfg.Batch, l.cfg); err != nil {
			return err
		}
		if _, err := l.stage(z, n, t, ids); err != nil {
			return err
		}
		l.take(z, n, t, ids)
	}
	return nil
}

// State is everything that training goes on from, between two steps.
func (l *chainLearner) State() *state.Set {
	s := &state.Set{}
	l.frame.state(s)
	for t, st := range l.stats {
		st.state(s, fmt.Sprintf("book_%d.", t))
	}
	if l.mover != nil {
		s.Join("", l.mover.State())
	}
	state.Add(s, "steps", l.steps)
	return s
}

// Restored takes over what was loaded into the State.
func (l *chainLearner) Restored() error {
	l.begin()
	return nil
}

// Export is the tokenizer as it is now. It shares the codes.
func (l *chainLearner) Export() Coder {
	return &Chain{frame: frame{centre: l.centre, scale: l.scale}, arch: l.arch, dims: l.dims, books: l.books}
}

// Micro adds the statistics of n rows x [n, D] to the window.
func (l *chainLearner) Micro(x []float32, n int) error {
	z := l.in(x, n)
	l.ids = grow(l.ids, n*l.dims.Ids)
	l.spread.rowsSeen(z)
	for t, s := range l.stats {
		part, err := l.stage(z, n, t, l.ids)
		if err != nil {
			return err
		}
		if err := s.add(part, l.one); err != nil {
			return err
		}
		l.take(z, n, t, l.ids)
	}
	l.spread.left(z)
	l.seen.add(l.ids, n)
	return nil
}

// Step ends the window: every book takes its statistics once, and dead codes are
// revived. The learning rate plays a part with Gradient only.
func (l *chainLearner) Step(lr float64) (map[string]float64, error) {
	if err := l.gather(); err != nil {
		return nil, err
	}
	if l.seen.rows == 0 {
		return nil, errors.New("vq: a step without rows")
	}
	m := l.metrics()
	for _, s := range l.stats {
		s.average(l.cfg.Decay)
		if l.mover == nil {
			s.update()
		} else {
			l.mover.gradient(1 / float64(s.rows*s.w))
			l.mover.Step(lr, 1)
		}
		revived, err := s.revive(l.cfg.Dead, l.ranks)
		if err != nil {
			return nil, err
		}
		m["revived"] += float64(len(revived))
		l.mover.forget(revived)
	}
	l.steps[0]++
	l.begin()
	return m, nil
}

// metrics of the window: commit is the sum over the books of the mean square of what
// a code leaves of its part.
func (l *chainLearner) metrics() map[string]float64 {
	m := l.seen.metrics()
	l.spread.metrics(m)
	for _, s := range l.stats {
		m["commit"] += s.error / float64(s.rows*s.w)
	}
	m["loss"] = (1 + l.cfg.Beta) * m["commit"]
	return m
}
