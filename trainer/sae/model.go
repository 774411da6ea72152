package sae

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// Model is a trained autoencoder of vectors of length D.
type Model struct {
	Arch    Arch
	D, M, K int
	WEnc    []float32 // [M, D]: row i is e_i (the file holds the transpose)
	BEnc    []float32 // [M]
	WDec    []float32 // [M, D]: row i is d_i
	BDec    []float32 // [D]
	Theta   []float32 // [M] thresholds, nil without

	scale float32 // s; 1 in a model from a file
	plain bool    // the encoder sees s·x itself; never in a model from a file
}

func newModel(arch Arch, d, m, k int) *Model {
	f := NewModel(Weights{D: d, M: m, WEnc: make([]float32, m*d), BEnc: make([]float32, m), WDec: make([]float32, m*d), BDec: make([]float32, d)})
	f.Arch, f.K = arch, k
	if arch.Thresholds() {
		f.Theta = make([]float32, m)
	}
	return f
}

// centre writes z = s·x − b_d for n rows.
func (m *Model) centre(z, x []float32, n int) {
	if m.plain {
		for i, v := range x[:n*m.D] {
			z[i] = m.scale * v
		}
		return
	}
	parallel.For(n, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			src, dst := x[b*m.D:(b+1)*m.D], z[b*m.D:(b+1)*m.D]
			for j, v := range src {
				dst[j] = m.scale*v - m.BDec[j]
			}
		}
	})
}

// encode computes the pre-activations a = W_e z + b_e of n rows and hands them to
// use; they live only during the call.
func (m *Model) encode(z []float32, n int, use func(pre []float32)) error {
	return torch.Do(func(s *torch.Scope) error {
		x := torch.WrapFloat32(s, z[:n*m.D], int64(n), int64(m.D))
		w := torch.WrapFloat32(s, m.WEnc, int64(m.M), int64(m.D))
		b := torch.WrapFloat32(s, m.BEnc, int64(m.M))
		use(s.Linear(x, w, b).Float32s()) // [n, M]
		return nil
	})
}

// Reconstruct encodes n rows of x [n, D], writes their reconstructions to xhat and
// their codes to c.
func (m *Model) Reconstruct(x, xhat []float32, n int, c *Codes) error {
	if len(x) != n*m.D || len(xhat) != n*m.D {
		return fmt.Errorf("sae: %d rows of %d are %d values, got %d and %d", n, m.D, n*m.D, len(x), len(xhat))
	}
	m.centre(xhat, x, n)
	if err := m.encode(xhat, n, func(pre []float32) { m.activate(pre, n, c) }); err != nil {
		return err
	}
	parallel.For(n, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			dst := xhat[b*m.D : (b+1)*m.D]
			copy(dst, m.BDec)
			c.addDecoded(dst, m.WDec, b)
			if m.scale != 1 {
				for j := range dst {
					dst[j] /= m.scale
				}
			}
		}
	})
	return nil
}

// activate chooses the latents of n rows.
func (m *Model) activate(pre []float32, n int, c *Codes) {
	if m.Arch == TopK {
		c.reset(n, m.K)
		c.choose(pre, m.M)
		return
	}
	c.above(pre, n, m.M, m.Theta)
}

// folded is the same function with s = 1, about b_d. It shares W_enc and W_dec.
func (m *Model) folded() *Model {
	f := *m
	if m.plain {
		f.Centre()
	}
	f.scale, f.plain = 1, false
	f.BEnc, f.BDec = divided(f.BEnc, m.scale), divided(m.BDec, m.scale)
	if m.Theta != nil {
		f.Theta = divided(m.Theta, m.scale)
	}
	return &f
}

func divided(v []float32, by float32) []float32 {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = v[i] / by
	}
	return out
}

// Save writes W_enc [d, M], b_enc [M], W_dec [M, d], b_dec [d] and, where there are some, threshold [M].
func (m *Model) Save(path string) error {
	f := m.folded()
	t := transpose(f.WEnc, f.M, f.D)
	return f.files(t).Save(path, map[string]string{"format": "pt"})
}

// Load reads what Save wrote.
func Load(path string, arch Arch, d, m, k int) (*Model, error) {
	if _, err := ParseArch(string(arch)); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if d < 1 || m < 1 || k < 1 || k > m {
		return nil, fmt.Errorf("load %s: d %d, width %d, k %d do not make an autoencoder", path, d, m, k)
	}
	if err := state.Holds(path, 8*float64(d)*float64(m)); err != nil {
		return nil, err
	}
	f := newModel(arch, d, m, k)
	t := make([]float32, d*m)
	if err := f.files(t).Load(path); err != nil {
		return nil, err
	}
	f.WEnc = transpose(t, d, m)
	return f, nil
}

func (m *Model) files(wEncT []float32) *state.Set {
	s := &state.Set{}
	state.Add(s, "W_enc", wEncT, m.D, m.M)
	state.Add(s, "b_enc", m.BEnc)
	state.Add(s, "W_dec", m.WDec, m.M, m.D)
	state.Add(s, "b_dec", m.BDec)
	if m.Theta != nil {
		state.Add(s, "threshold", m.Theta)
	}
	return s
}

// transpose of a [rows, cols] matrix.
func transpose(a []float32, rows, cols int) []float32 {
	out := make([]float32, len(a))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = a[i*cols+j]
		}
	}
	return out
}
