package torch

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// run is Do with a failing test for an error.
func run(t *testing.T, f func(s *Scope)) {
	t.Helper()
	before := Live()
	if err := Do(func(s *Scope) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := Live(); got != before {
		t.Fatalf("%d tensors before, %d after", before, got)
	}
}

func residentBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm here")
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(text)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestOperationsLeaveNoMemory(t *testing.T) {
	many := func(n int) {
		run(t, func(s *Scope) {
			x := s.Randn(1, 64, 64)
			for range n / 5 {
				s.Sub(func(s *Scope) *Tensor {
					y := s.Gelu(s.MulScalar(x, 2), true)
					v, _ := s.TopK(y, 4, -1)
					return s.Sum(s.Clone(v))
				})
			}
		})
	}
	many(100_000) // allocators settle; small results that live on fragment what is freed around them
	before := residentBytes(t)
	many(100_000)
	// 100000 results of 16 kB would be 1.6 GB; 20000 sums and their Go sides are a few MB.
	if grown := residentBytes(t) - before; grown > 32<<20 {
		t.Errorf("100000 operations left %d bytes behind", grown)
	}
}

func TestErrorsLeaveNoMemory(t *testing.T) {
	fails := func(n int) {
		for range n {
			err := Do(func(s *Scope) error { s.Add(s.Ones(F32, CPU, 2), s.Ones(F32, CPU, 3)); return nil })
			if err == nil {
				t.Fatal("shapes 2 and 3 were added")
			}
		}
	}
	fails(1000)
	before, tensors := residentBytes(t), Live()
	fails(20_000)
	if grown := residentBytes(t) - before; grown > 16<<20 {
		t.Errorf("20000 errors left %d bytes behind", grown)
	}
	if Live() != tensors {
		t.Errorf("%d tensors before, %d after", tensors, Live())
	}
}

func TestSubFreesAllButItsResult(t *testing.T) {
	run(t, func(s *Scope) {
		x := s.Ones(F32, CPU, 3)
		before := Live()
		y := s.Sub(func(s *Scope) *Tensor {
			inner := s.Sub(func(s *Scope) *Tensor { return s.AddScalar(s.Exp(x), 1) })
			return s.Mul(inner, inner)
		})
		if got := Live() - before; got != 1 {
			t.Errorf("an inner scope left %d tensors, not 1", got)
		}
		if y.Len() != 3 {
			t.Errorf("the result has %d elements", y.Len())
		}
	})
}

func TestSubMayReturnAnOuterOrKeptTensorOrNil(t *testing.T) {
	var kept *Tensor
	run(t, func(s *Scope) {
		x := s.Ones(F32, CPU, 1)
		if s.Sub(func(*Scope) *Tensor { return x }) != x || x.Item() != 1 {
			t.Error("an outer tensor did not survive an inner scope")
		}
		if s.Sub(func(*Scope) *Tensor { return nil }) != nil {
			t.Error("nil became a tensor")
		}
	})
	before := Live()
	err := Do(func(s *Scope) error {
		kept = s.Sub(func(s *Scope) *Tensor { return s.Keep(s.Full(7, F32, CPU)) })
		return nil
	})
	if err != nil || Live() != before+1 {
		t.Fatalf("error %v, %d tensors more", err, Live()-before)
	}
	if kept.Item() != 7 {
		t.Error("a kept tensor changed")
	}
	kept.Free()
	kept.Free()
	if Live() != before {
		t.Errorf("%d tensors more after Free", Live()-before)
	}
}

func TestGiveMovesSeveralResults(t *testing.T) {
	run(t, func(outer *Scope) {
		var a, b *Tensor
		outer.Sub(func(s *Scope) *Tensor {
			a, b = s.TopK(FromFloat32(s, []float32{3, 9, 4}, 3), 2, 0)
			s.Give(outer, a, b)
			return nil
		})
		if a.Float32s()[0] != 9 || b.Int64s()[1] != 2 {
			t.Errorf("values %v, places %v", a.Float32s(), b.Int64s())
		}
	})
}

func TestFailureIsAnError(t *testing.T) {
	before := Live()
	err := Do(func(s *Scope) error {
		s.Sub(func(s *Scope) *Tensor { return s.MatMul(s.Ones(F32, CPU, 2, 2), s.Ones(F32, CPU, 3, 3)) })
		t.Error("went on after a failure")
		return nil
	})
	var e *Error
	if !errors.As(err, &e) || e.Op != "MatMul" || !strings.Contains(e.Msg, "2x2 and 3x3") || strings.Contains(e.Msg, "\n") {
		t.Errorf("%T %v", err, err)
	}
	if Live() != before {
		t.Errorf("a failed Do left %d tensors", Live()-before)
	}
	run(t, func(s *Scope) { s.Ones(F32, CPU, 1) })
}

func TestMisuseIsAnError(t *testing.T) {
	var gone *Tensor
	run(t, func(s *Scope) { gone = s.Ones(F32, CPU, 1) })
	for name, f := range map[string]func(s *Scope){
		"freed":         func(s *Scope) { s.Add(gone, gone) },
		"nil":           func(s *Scope) { s.Exp(nil) },
		"freed shape":   func(s *Scope) { gone.Shape() },
		"wrong type":    func(s *Scope) { s.Ones(F32, CPU, 1).Int64s() },
		"strided":       func(s *Scope) { s.Transpose(s.Ones(F32, CPU, 2, 3), 0, 1).Float32s() },
		"many in Item":  func(s *Scope) { s.Ones(F32, CPU, 2).Item() },
		"wrong count":   func(s *Scope) { FromFloat32(s, []float32{1, 2, 3}, 2, 2) },
		"huge shape":    func(s *Scope) { FromFloat32(s, nil, 1<<40, 1<<40, 1<<40) },
		"half elements": func(s *Scope) { Wrap(s, make([]byte, 7), F32, 1) },
		"misaligned":    func(s *Scope) { Wrap(s, make([]byte, 16)[1:9], F32, 2) },
		"no dtype":      func(s *Scope) { Wrap(s, make([]byte, 8), Dtype(99), 2) },
		"empty Cat":     func(s *Scope) { s.Cat(nil, 0) },
		"out of range":  func(s *Scope) { s.IndexSelect(s.Ones(F32, CPU, 2), 0, FromInt64(s, []int64{5}, 1)) },
		"stubbed or no": func(s *Scope) { s.Bmm(s.Ones(F32, CPU, 2), s.Ones(F32, CPU, 2)) },
		"no gradient":   func(s *Scope) { s.Backward(s.Ones(F32, CPU)) },
		"int parameter": func(s *Scope) { s.Param(s.Ones(I64, CPU, 1)) },
	} {
		var e *Error
		if err := Do(func(s *Scope) error { f(s); return nil }); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallersPanicPassesAndFrees(t *testing.T) {
	before := Live()
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = Do(func(s *Scope) error { s.Ones(F32, CPU, 1); panic("mine") })
	}()
	if Live() != before {
		t.Errorf("a panic left %d tensors", Live()-before)
	}
}

func TestCallersErrorPasses(t *testing.T) {
	mine := errors.New("mine")
	if err := Do(func(*Scope) error { return mine }); err != mine {
		t.Error(err)
	}
}

func TestErrorsOfGoroutinesDoNotMix(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			n := int64(g + 2)
			want := "size of tensor a (" + strconv.Itoa(g+2) + ")"
			for range 200 {
				err := Do(func(s *Scope) error {
					x := s.Ones(F32, CPU, n)
					if g%2 == 0 {
						s.Add(x, s.Ones(F32, CPU, n+1))
					}
					return Do(func(s *Scope) error { s.Exp(x); return nil })
				})
				if (err != nil) != (g%2 == 0) || (err != nil && !strings.Contains(err.Error(), want)) {
					t.Errorf("goroutine %d: %v", g, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestWrapSharesMemory(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	run(t, func(s *Scope) {
		x := WrapFloat32(s, data, 2, 3)
		s.MulScalarTo(x, 10)
		if data[5] != 60 {
			t.Errorf("the tensor's change is not in the data: %v", data)
		}
		data[0] = -1
		if got := x.Float32s(); got[0] != -1 || &got[0] != &data[0] {
			t.Error("the data's change is not in the tensor")
		}
		y := FromFloat32(s, data, 6)
		data[1] = 0
		if y.Float32s()[1] != 20 {
			t.Error("FromFloat32 did not copy")
		}
	})
}

func TestEmptyTensors(t *testing.T) {
	run(t, func(s *Scope) {
		x := FromFloat32(s, nil, 0, 4)
		y := Wrap(s, nil, F32, 0)
		if len(x.Float32s()) != 0 || x.Len() != 0 || len(y.Float32s()) != 0 || len(s.Zeros(F32, CPU).Shape()) != 0 {
			t.Error("an empty tensor has elements")
		}
	})
}
