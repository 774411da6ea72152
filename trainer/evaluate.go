package trainer

import (
	"context"

	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// fitThresholds brings the thresholds of learners that are evaluated or saved now up to date, on the rows that the
// initialisation looked at.
func (f *feed) fitThresholds(ctx context.Context) {
	var x []float32
	for _, t := range f.learning() {
		l, ok := t.learner.(*sae.Learner)
		if !ok || !l.FitsThreshold() || !t.writes() || !t.last() && !(t.stepped && t.evaluates()) {
			continue
		}
		d, n := f.data.Width(), t.Recipe.Loop.InitRows
		if len(x) < n*d {
			if x, t.failed = f.firstRows(ctx, t.Job, n); t.failed != nil {
				continue
			}
		}
		n = min(n, len(x)/d)
		if t.failed = t.fetch(); t.failed == nil {
			t.failed = l.FitThreshold(x[:n*d], n)
		}
	}
}

// evaluate measures trainings on the first held-out rows, always the same ones, which
// are read once for all of them.
func (f *feed) evaluate(ctx context.Context, due []*training) {
	var cursors []evalCursor
	for _, t := range due {
		cursors = append(cursors, evalCursor{&measure.Judged{Meter: newMeter(t.learner)}, t.Recipe.Loop.EvalRows, t.Recipe.Loop.Micro})
	}
	if f.held != nil && len(cursors) > 0 {
		if err := evaluateOn(ctx, f.held, cursors); err != nil {
			f.fail(err)
			return
		}
	}
	for i, t := range due {
		t.eval = map[string]float64{}
		if f.held != nil {
			t.eval = cursors[i].meter.Metrics()
		}
		if t.failed == nil {
			t.failed = t.report(evalSplit, t.eval, densityOf(cursors[i].meter.Meter))
		}
	}
}

// evalCursor is a meter of the first limit rows, micro at once.
type evalCursor struct {
	meter        *measure.Judged
	limit, micro int
}

// add gives a meter its part of n rows of which others came before.
func (v evalCursor) add(b *stream.Batch, before int) error {
	n := min(b.N, v.limit-before)
	for lo := 0; lo < n; lo += v.micro {
		hi := min(lo+v.micro, n)
		if _, err := v.meter.AddBatch(b, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// evaluateOn gives the rows from the beginning of a stream to meters.
func evaluateOn(ctx context.Context, s *stream.Stream, cursors []evalCursor) error {
	limit := 0
	for _, v := range cursors {
		limit = max(limit, v.limit)
	}
	return s.Head(ctx, limit, func(b *stream.Batch, before int) error {
		for _, v := range cursors {
			if err := v.add(b, before); err != nil {
				return err
			}
		}
		return nil
	})
}

// newMeter measures a learner as it is now.
func newMeter(l Learner) measure.Meter {
	switch l := l.(type) {
	case *sae.Learner:
		return &sae.Eval{Model: l.Export()}
	case vq.Learner:
		return &vq.Eval{Coder: l.Export()}
	}
	return nil
}

// densityOf are the latents by how often they fired on the rows a meter saw; nil of what
// has none.
func densityOf(m measure.Meter) *coder.Histogram {
	e, ok := m.(*sae.Eval)
	if !ok || e.Firing().N == 0 {
		return nil
	}
	h := e.Firing().Histogram()
	return &h
}
