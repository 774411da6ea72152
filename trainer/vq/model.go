package vq

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// Model is a codebook of K vectors of length D.
type Model struct {
	D, K   int
	Codes  []float32 // [K, D]: row k is e_k, relative to Centre
	Centre []float32 // [D]

	z []float32 // work, [n, D]
}

func newModel(d, k int) *Model {
	return &Model{D: d, K: k, Codes: make([]float32, k*d), Centre: make([]float32, d)}
}

// rowGrain is the least number of rows worth a goroutine of their own.
const rowGrain = 64

// centred is x − centre for n rows, in memory that the next call uses again.
func (m *Model) centred(x []float32, n int) []float32 {
	m.z = grow(m.z, n*m.D)
	parallel.For(n, rowGrain, func(lo, hi int) {
		for i := lo * m.D; i < hi*m.D; i++ {
			m.z[i] = x[i] - m.Centre[i%m.D]
		}
	})
	return m.z
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// nearest writes the code of every row of z [n, D]: the greatest ⟨z,e_k⟩ − ‖e_k‖²/2.
func (m *Model) nearest(z []float32, n int, codes []int32) error {
	bias := make([]float32, m.K)
	for k := range bias {
		bias[k] = float32(-squareNorm(m.code(k)) / 2)
	}
	return torch.Do(func(s *torch.Scope) error {
		x := torch.WrapFloat32(s, z[:n*m.D], int64(n), int64(m.D))
		e := torch.WrapFloat32(s, m.Codes, int64(m.K), int64(m.D))
		score := s.Linear(x, e, torch.WrapFloat32(s, bias, int64(m.K))).Float32s() // [n, K]
		parallel.For(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				codes[i] = argMax(score[i*m.K : (i+1)*m.K])
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

func (m *Model) code(k int) []float32 { return m.Codes[k*m.D : (k+1)*m.D] }

// Encode writes the code of every row of x [n, D].
func (m *Model) Encode(x []float32, n int, codes []int32) error {
	if len(x) != n*m.D || len(codes) < n {
		return fmt.Errorf("vq: %d rows of %d are %d values, got %d and room for %d codes", n, m.D, n*m.D, len(x), len(codes))
	}
	return m.nearest(m.centred(x, n), n, codes)
}

// Decode writes the vectors of n codes to xhat [n, D].
func (m *Model) Decode(codes []int32, xhat []float32, n int) {
	for i := range n {
		for j, v := range m.code(int(codes[i])) {
			xhat[i*m.D+j] = v + m.Centre[j]
		}
	}
}

func squareNorm(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum
}

// Save writes codebook [K, d], in the units of the data, and centre [d].
func (m *Model) Save(path string) error {
	raw := make([]float32, len(m.Codes))
	for i, v := range m.Codes {
		raw[i] = v + m.Centre[i%m.D]
	}
	return m.files(raw).Save(path, map[string]string{"format": "pt"})
}

// Load reads what Save wrote.
func Load(path string, d, k int) (*Model, error) {
	if d < 1 || k < 1 {
		return nil, fmt.Errorf("load %s: %d codes of %d do not make a codebook", path, k, d)
	}
	if err := state.Holds(path, 4*float64(d)*float64(k)); err != nil {
		return nil, err
	}
	m := newModel(d, k)
	if err := m.files(m.Codes).Load(path); err != nil {
		return nil, err
	}
	for i := range m.Codes {
		m.Codes[i] -= m.Centre[i%d]
	}
	return m, nil
}

func (m *Model) files(codebook []float32) *state.Set {
	s := &state.Set{}
	state.Add(s, "codebook", codebook, m.K, m.D)
	state.Add(s, "centre", m.Centre)
	return s
}
