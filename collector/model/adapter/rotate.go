package adapter

import (
	"math"

	"actfleet/internal/torch"
)

// skew makes of upper triangles v [n, k(k−1)/2], row by row, the matrices Q = U − Uᵀ [n, k, k].
func skew(s *torch.Scope, v *torch.Tensor) *torch.Tensor {
	n, k := v.Shape()[0], int64(blockSize(int(v.Shape()[1])))
	at := make([]int64, 0, v.Shape()[1])
	for i := range k {
		for j := i + 1; j < k; j++ {
			at = append(at, i*k+j)
		}
	}
	index := s.Expand(s.ToDevice(torch.FromInt64(s, at, 1, int64(len(at))), v.Device()), n, -1)
	upper := s.View(s.ScatterAdd(s.Zeros(torch.F32, v.Device(), n, k*k), 1, index, v), n, k, k)
	return s.Minus(upper, s.Transpose(upper, 1, 2))
}

// neumann is I + 2Q + 2Q² + … + 2Qⁿ⁻² + Qⁿ⁻¹ for n terms, as PEFT sums it: with two terms or fewer the last is 2Q.
func neumann(s *torch.Scope, q *torch.Tensor, terms int) *torch.Tensor {
	r := s.Expand(s.Eye(q.Shape()[1], torch.F32, q.Device()), q.Shape()[0], -1, -1)
	if terms < 2 {
		return r
	}
	r = s.Add(r, s.MulScalar(q, 2))
	if terms == 2 {
		return r
	}
	power := s.Bmm(q, q)
	r = s.Add(r, s.MulScalar(power, 2))
	for i := 3; i < terms-1; i++ {
		power = s.Bmm(power, q)
		r = s.Add(r, s.MulScalar(power, 2))
	}
	return s.Add(r, s.Bmm(power, q))
}

// cayley is (I − Q)(I + Q)⁻¹. Of a skew Q the matrix I + Q has no pivot below 1 in its diagonal blocks, so elimination
// without exchanges is stable.
func cayley(s *torch.Scope, q *torch.Tensor) *torch.Tensor {
	n, k := q.Shape()[0], q.Shape()[1]
	id := s.Expand(s.Eye(k, torch.F32, q.Device()), n, -1, -1)
	// (I − Q)(I + Q)⁻¹ = 2(I + Q)⁻¹ − I
	return s.Minus(s.MulScalar(inverse(s, s.Add(id, q)), 2), id)
}

// inverse is that of matrices m [n, k, k] by Gauss and Jordan, one pivot after the other.
func inverse(s *torch.Scope, m *torch.Tensor) *torch.Tensor {
	n, k := m.Shape()[0], m.Shape()[1]
	id := s.Expand(s.Eye(k, torch.F32, m.Device()), n, -1, -1)
	both := s.Cat([]*torch.Tensor{m, id}, 2) // [n, k, 2k]
	for i := range k {
		both = s.Sub(func(s *torch.Scope) *torch.Tensor {
			row := s.Narrow(both, 1, i, 1)
			row = s.Div(row, s.Narrow(row, 2, i, 1))
			rest := s.Minus(both, s.MatMul(s.Narrow(both, 2, i, 1), row))
			return s.Cat([]*torch.Tensor{s.Narrow(rest, 1, 0, i), row, s.Narrow(rest, 1, i+1, k-i-1)}, 1)
		})
	}
	return s.Narrow(both, 2, k, k)
}

// constrained shortens the triangles of blocks whose matrix is longer than radius/√n, as COFT does.
func constrained(s *torch.Scope, v *torch.Tensor, radius float64) *torch.Tensor {
	most := radius / math.Sqrt(float64(v.Shape()[0]))
	length := s.MulScalar(s.Sqrt(s.SumDim(s.Square(v), 1, true)), math.Sqrt2) // each element stands twice in the matrix
	return s.Mul(v, s.ClampMax(s.MulScalar(s.Reciprocal(s.ClampMin(length, 1e-30)), most), 1))
}
