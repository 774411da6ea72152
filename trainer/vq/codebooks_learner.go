package vq

import (
	"fmt"

	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// codebooksLearner is Codebooks in training.
type codebooksLearner struct {
	*Codebooks
	cfg   Config
	stats []*codebookStats // one for every codebook
	rules []updateRule     // the same
	steps []int64          // one element: optimizer steps so far
	ids   []int32
	ranks ranks.Ranks
	place int // of this rank's first row in the batch

	// The batch.
	used idStats
	left residualStats
}

// updateRule moves the codes of one codebook.
type updateRule interface {
	// update moves them by what the batch holds.
	update(lr float64)
	// forget forgets codes that were revived.
	forget(revived []int)
	// save adds what it remembers from step to step to a State.
	save(s *state.Set, prefix string)
}

func newCodebooksLearner(a codebooksArch, c Config, d Dims) *codebooksLearner {
	l := &codebooksLearner{Codebooks: newCodebooks(a, c, d), cfg: c, steps: make([]int64, 1), ranks: ranks.Alone{}}
	for t := range l.books {
		s := newCodebookStats(&l.books[t])
		l.stats, l.rules = append(l.stats, s), append(l.rules, a.rule(s))
	}
	l.startBatch()
	return l
}

// startBatch empties the batch.
func (l *codebooksLearner) startBatch() {
	for t, s := range l.stats {
		s.startBatch(l.cfg.Seed^hash(uint64(t)), uint64(l.steps[0]), l.place)
	}
	l.used, l.left = newIDStats(l.dims), newResidualStats(l.dims.Row)
}

// Distribute makes the learner one of several.
func (l *codebooksLearner) Distribute(r ranks.Ranks, from int) {
	l.ranks, l.place = r, from
	l.startBatch()
}

// Init sets centre and scale, then every codebook in turn, from n sample rows.
func (l *codebooksLearner) Init(sample []float32, n int) error {
	if err := l.fit(sample, n); err != nil {
		return err
	}
	z, ids := l.apply(sample, n), make([]int32, n*l.dims.Ids)
	for t, s := range l.stats {
		if err := s.init(l.partOf(z, n, t), n, l.cfg.Batch, l.cfg); err != nil {
			return err
		}
		if _, err := l.encode(z, n, t, ids); err != nil {
			return err
		}
		l.subtract(z, n, t, ids)
	}
	return nil
}

// State is everything that training goes on from, between two steps.
func (l *codebooksLearner) State() *state.Set {
	s := &state.Set{}
	l.standardizer.state(s)
	for t, st := range l.stats {
		st.save(s, fmt.Sprintf("book_%d.", t))
	}
	for _, r := range l.rules {
		r.save(s, "")
	}
	state.Add(s, "steps", l.steps)
	return s
}

// Restored takes over what was loaded into the State.
func (l *codebooksLearner) Restored() error {
	l.startBatch()
	return nil
}

// Export is the tokenizer as it is now. It shares the codes.
func (l *codebooksLearner) Export() Coder {
	c := *l.Codebooks
	c.z, c.part, c.one = nil, nil, nil
	return &c
}

// Micro adds the statistics of n rows x [n, D] to the batch.
func (l *codebooksLearner) Micro(x []float32, n int) error {
	z := l.apply(x, n)
	l.ids = grow(l.ids, n*l.dims.Ids)
	l.left.addRows(z)
	for t, s := range l.stats {
		part, err := l.encode(z, n, t, l.ids)
		if err != nil {
			return err
		}
		if err := s.add(part, l.one); err != nil {
			return err
		}
		l.subtract(z, n, t, l.ids)
	}
	l.left.addResiduals(z)
	l.used.add(l.ids, n)
	return nil
}

// allReduce makes the batch that of all ranks.
func (l *codebooksLearner) allReduce() error {
	if !ranks.Distributed(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, s := range l.stats {
		s.offer(&b)
	}
	l.used.offer(&b)
	l.left.offer(&b)
	return b.AllReduce(l.ranks)
}

// Step ends the batch: every codebook takes its statistics once, and dead codes are
// revived. The learning rate plays a part with Gradient only.
func (l *codebooksLearner) Step(lr float64) (map[string]float64, error) {
	if err := l.allReduce(); err != nil {
		return nil, err
	}
	if l.used.rows == 0 {
		return nil, errNoRows
	}
	m := l.metrics()
	for t, s := range l.stats {
		s.average(l.cfg.Decay)
		l.rules[t].update(lr)
		revived, err := s.revive(l.cfg.DeadShare, l.ranks)
		if err != nil {
			return nil, err
		}
		m["revived"] += float64(len(revived))
		l.rules[t].forget(revived)
	}
	l.steps[0]++
	l.startBatch()
	return m, nil
}

// metrics of the batch: commit is the sum over the codebooks of the mean square of what
// a code leaves of its part.
func (l *codebooksLearner) metrics() map[string]float64 {
	m := l.used.metrics()
	l.left.metrics(m)
	for _, s := range l.stats {
		m["commit"] += s.meanError()
	}
	m["loss"] = (1 + l.cfg.Beta) * m["commit"]
	return m
}
