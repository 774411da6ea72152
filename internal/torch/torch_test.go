package torch

import (
	"errors"
	"testing"
)

func TestSmoke(t *testing.T) {
	before := Live()
	err := Do(func(s *Scope) error {
		x := FromFloat32(s, []float32{1, 2, 3, 4}, 2, 2)
		y := s.Sub(func(s *Scope) *Tensor { return s.Gelu(s.MatMul(x, x), true) })
		t.Log(y.Float32s(), y.Shape(), Version(), BLAS(), Threads(), CUDA())
		s.MatMul(x, s.Zeros(F32, CPU, 3, 3))
		return nil
	})
	var e *Error
	if !errors.As(err, &e) || e.Op != "MatMul" {
		t.Fatal(err)
	}
	t.Log(err)
	if Live() != before {
		t.Fatal(Live())
	}
}
