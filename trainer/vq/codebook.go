package vq

import (
	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// codebook is k codes of w values.
type codebook struct {
	k, w  int
	codes []float32 // [k, w]
}

func newCodebook(k, w int) *codebook { return &codebook{k: k, w: w, codes: make([]float32, k*w)} }

func (b *codebook) code(k int) []float32 { return b.codes[k*b.w : (k+1)*b.w] }

// ids writes the nearest code of every row of z [n, w]: the greatest ⟨z,e_k⟩ − ‖e_k‖²/2.
func (b *codebook) ids(z []float32, n int, ids []int32) error {
	bias := make([]float32, b.k)
	for k := range bias {
		bias[k] = float32(-squareNorm(b.code(k)) / 2)
	}
	return torch.Do(func(s *torch.Scope) error {
		x := torch.WrapFloat32(s, z[:n*b.w], int64(n), int64(b.w))
		e := torch.WrapFloat32(s, b.codes, int64(b.k), int64(b.w))
		score := s.Linear(x, e, torch.WrapFloat32(s, bias, int64(b.k))).Float32s() // [n, k]
		parallel.For(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				ids[i] = argMax(score[i*b.k : (i+1)*b.k])
			}
		})
		return nil
	})
}

func argMax(row []float32) int32 {
	best := 0
	for k, v := range row {
		if v > row[best] {
			best = k
		}
	}
	return int32(best)
}

// vectors writes the codes q [m, w] that ids stand for.
func (b *codebook) vectors(ids []int32, m int, q []float32) {
	for i, k := range ids[:m] {
		copy(q[i*b.w:(i+1)*b.w], b.code(int(k)))
	}
}

// smooth is u itself: the gradient goes straight through.
func (b *codebook) smooth(_ *torch.Scope, u *torch.Tensor) *torch.Tensor { return u }

func (b *codebook) files(s *state.Set) { state.Add(s, codebookName, b.codes, b.k, b.w) }

func squareNorm(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum
}
