package torch

import (
	"math"
	"testing"
)

// TestGradient compares the gradient of a small network's loss with finite differences.
func TestGradient(t *testing.T) {
	before := Live()
	var w *Tensor
	loss := func(s *Scope, w *Tensor) *Tensor {
		x := s.To(s.Randn(3, 5, 4), F64)
		h := s.Gelu(s.Linear(x, w, nil), true) // [5, 3]
		return s.Mean(s.Square(s.Minus(s.Softmax(h, -1), s.To(s.Eye(3, F32, CPU), F64).row(s, 0))))
	}
	var gradient []float64
	err := DoGrad(func(s *Scope) error {
		w = s.Param(s.To(s.Randn(1, 3, 4), F64))
		s.Backward(loss(s, w))
		s.Backward(loss(s, w)) // gradients add up
		gradient = numbers(s, s.Grad(w))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const step = 1e-6
	at := func(i int64, delta float64) (v float64) {
		err := Do(func(s *Scope) error {
			moved := s.Clone(w)
			shift := s.Full(delta, F64, CPU, 1)
			s.IndexAddTo(s.View(moved, 12), 0, FromInt64(s, []int64{i}, 1), shift)
			v = loss(s, moved).Item()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i, got := range gradient {
		want := 2 * (at(int64(i), step) - at(int64(i), -step)) / (2 * step)
		if math.Abs(got-want) > 1e-7 {
			t.Errorf("weight %d: gradient %g, finite difference %g", i, got, want)
		}
	}
	w.Free()
	if Live() != before {
		t.Errorf("%d tensors left", Live()-before)
	}
}

// row is x[i].
func (x *Tensor) row(s *Scope, i int64) *Tensor { return s.Narrow(x, 0, i, 1) }

func TestGradientLifecycle(t *testing.T) {
	err := DoGrad(func(s *Scope) error {
		w := s.Param(s.Ones(F32, CPU, 2))
		defer w.Free()
		if s.Grad(w) != nil {
			t.Error("a gradient before Backward")
		}
		s.Backward(s.Sum(s.MulScalar(w, 3)))
		s.NoGrad(func() { s.AddTo(w, s.Grad(w), -1) }) // an optimizer's step
		if got := w.Float32s(); got[0] != -2 {
			t.Errorf("a step led to %v", got)
		}
		ZeroGrad(w)
		if s.Grad(w) != nil {
			t.Error("a gradient after ZeroGrad")
		}
		ZeroGrad()
		s.Backward(s.Sum(s.Detach(w)))
		return nil
	})
	if err == nil {
		t.Error("a detached loss has a gradient")
	}
}

func TestDoRecordsNothing(t *testing.T) {
	err := DoGrad(func(s *Scope) error {
		w := s.Param(s.Ones(F32, CPU, 2))
		defer w.Free()
		var kept *Tensor
		err := Do(func(inner *Scope) error { kept = inner.Keep(inner.Sum(w)); return nil })
		if err != nil {
			return err
		}
		defer kept.Free()
		if kept.meta("").requiresGrad != 0 {
			t.Error("Do recorded an operator")
		}
		if s.Sum(w).meta("").requiresGrad == 0 {
			t.Error("DoGrad no longer records after an inner Do")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
