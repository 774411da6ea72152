package sae

import (
	"fmt"
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

// Shape is the architecture and the sizes of a model.
type Shape struct {
	Arch    Arch
	D, M, K int
	// Out is the length of a transcoder's target, which follows the vector in every row. 0 is an autoencoder.
	Out  int
	Skip bool // a transcoder has a skip connection W_skip
	// Parts are the lengths of the vectors that stand side by side in D (a crosscoder); nil is one.
	Parts []int
}

// Row is the length of a row: of the vector and, of a transcoder, its target.
func (s Shape) Row() int { return s.D + s.Out }

// Outputs is the length of a reconstruction.
func (s Shape) Outputs() int {
	if s.Out > 0 {
		return s.Out
	}
	return s.D
}

// parts are the lengths of the vectors that are reconstructed.
func (s Shape) parts() []int {
	if len(s.Parts) > 0 {
		return s.Parts
	}
	return []int{s.Outputs()}
}

// maxSize bounds every size of a shape, so that no product of two of them overflows.
const maxSize = 1 << 28

// check refuses sizes that do not make a model.
func (s Shape) check() error {
	if _, err := ParseArch(string(s.Arch)); err != nil {
		return err
	}
	if s.D < 1 || s.D > maxSize || s.M < 1 || s.M > maxSize || s.K < 1 || s.K > s.M || s.Out < 0 || s.Out > maxSize {
		return fmt.Errorf("width %d and k %d over vectors of %d do not make an autoencoder", s.M, s.K, s.D)
	}
	if s.Skip && s.Out == 0 {
		return fmt.Errorf("skip is for transcoders: give a target")
	}
	sum := 0
	for _, p := range s.Parts {
		if p < 1 || p > maxSize {
			return fmt.Errorf("a vector of %d values is no part of a row", p)
		}
		sum += p
	}
	if s.Parts != nil && (s.Out > 0 || sum != s.D) {
		return fmt.Errorf("vectors of %v side by side do not make rows of %d", s.Parts, s.D)
	}
	return nil
}

// Model is a trained autoencoder, transcoder or crosscoder.
type Model struct {
	Shape
	WEnc  []float32 // [M, D]: row i is e_i (the file holds the transpose)
	BEnc  []float32 // [M]; of a gated one the gate's
	WDec  []float32 // [M, out]: row i is d_i
	BDec  []float32 // [out]
	Theta []float32 // [M] thresholds, nil without
	RMag  []float32 // [M] logarithm of a gated one's factor, nil without
	BMag  []float32 // [M] bias of its magnitude
	WSkip []float32 // [out, D], nil without

	scale           float32   // s; 1 in a model from a file
	gainIn, gainOut []float32 // factors of s by column, [D] and [out]; nil is 1 and so in a file
	plain           bool      // the encoder sees s·x itself; in a file so for transcoders alone
}

func newModel(s Shape) *Model {
	m := &Model{Shape: s, scale: 1, plain: s.Out > 0}
	m.WEnc, m.BEnc = make([]float32, s.M*s.D), make([]float32, s.M)
	m.WDec, m.BDec = make([]float32, s.M*s.Outputs()), make([]float32, s.Outputs())
	switch a := s.Arch.Activation(); {
	case a.HasThresholds():
		m.Theta = make([]float32, s.M)
	case a == GatedActivation:
		m.RMag, m.BMag = make([]float32, s.M), make([]float32, s.M)
	}
	if s.Skip {
		m.WSkip = make([]float32, s.Outputs()*s.D)
	}
	return m
}

// Weights are the arrays of a model with no scale: a = W_enc (x − b_dec) + b_enc, of a transcoder
// W_enc x + b_enc.
type Weights struct {
	D, M int
	Out  int       // as in Shape
	WEnc []float32 // [M, D]
	BEnc []float32 // [M]
	WDec []float32 // [M, D], of a transcoder [M, Out]
	BDec []float32 // [D], of a transcoder [Out]
}

// NewModel is a model of arrays made elsewhere, which it shares. The caller sets Arch and the fields that belong to
// it.
func NewModel(w Weights) *Model {
	return &Model{Shape: Shape{D: w.D, M: w.M, Out: w.Out}, scale: 1, plain: w.Out > 0,
		WEnc: w.WEnc, BEnc: w.BEnc, WDec: w.WDec, BDec: w.BDec}
}

// PlainBias is b_enc of the same function written as a = W_enc x + b: b_enc − W_enc b_dec.
func (m *Model) PlainBias() []float32 {
	if m.plain {
		return m.BEnc
	}
	return m.shifted(-1)
}

// Centre takes BEnc for PlainBias, as other programs' files have it, and makes it the bias of x − b_dec. A transcoder's
// is plain in both.
func (m *Model) Centre() {
	if m.Out == 0 {
		m.BEnc = m.shifted(1)
	}
}

// shifted is b_enc + sign · W_enc b_dec.
func (m *Model) shifted(sign float64) []float32 {
	out := make([]float32, m.M)
	for i := range out {
		sum := float64(m.BEnc[i])
		for j, w := range m.WEnc[i*m.D : (i+1)*m.D] {
			sum += sign * float64(w) * float64(m.BDec[j])
		}
		out[i] = float32(sum)
	}
	return out
}

// centre writes z = s·x − b_d, or s·x, of n rows.
func (m *Model) centre(z, x []float32, n int) {
	bias := m.BDec
	if m.plain {
		bias = nil
	}
	m.scaled(z, x, n, 0, m.D, m.gainIn, bias)
}

// target writes what is to be reconstructed, less b_d, of n rows.
func (m *Model) target(t, x []float32, n int) {
	m.scaled(t, x, n, m.Row()-m.Outputs(), m.Outputs(), m.gainOut, m.BDec)
}

// Target is what is to be reconstructed of n rows x [n, Row]: the rows themselves, or their targets [n, Out].
func (m *Model) Target(x []float32, n int) []float32 {
	return columns(x, n, m.Row(), m.Row()-m.Outputs(), m.Outputs())
}

// scaled writes s·gain·x − bias of the d columns of rows from column at on.
func (m *Model) scaled(dst, x []float32, n, at, d int, gain, bias []float32) {
	row := m.Row()
	parallel.For(n, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			out := dst[b*d : (b+1)*d]
			for j, v := range x[b*row+at : b*row+at+d] {
				out[j] = m.scale * v
			}
			for j, g := range gain {
				out[j] *= g
			}
			for j, v := range bias {
				out[j] -= v
			}
		}
	})
}

// encode computes the pre-activations a = W_e z + b_e of n rows and hands them to
// use; they are valid only during the call. Their memory is kept in c: allocating by far the largest array anew every
// time fragments the heap, which then grows to several times what is in use.
func (m *Model) encode(z []float32, n int, c *Codes, use func(pre []float32)) error {
	c.pre = grow(c.pre, n*m.M)
	err := torch.Do(func(s *torch.Scope) error {
		x := torch.WrapFloat32(s, z[:n*m.D], int64(n), int64(m.D))
		w := torch.WrapFloat32(s, m.WEnc, int64(m.M), int64(m.D))
		b := torch.WrapFloat32(s, m.BEnc, int64(m.M))
		s.LinearTo(torch.WrapFloat32(s, c.pre, int64(n), int64(m.M)), x, w, b)
		return nil
	})
	if err == nil {
		use(c.pre)
	}
	return err
}

// Reconstruct encodes n rows of x [n, Row], writes the reconstructions [n, D], or [n, Out], to xhat
// and the codes to c.
func (m *Model) Reconstruct(x, xhat []float32, n int, c *Codes) error {
	d := m.Outputs()
	if len(x) != n*m.Row() || len(xhat) != n*d {
		return fmt.Errorf("sae: %d rows of %d are %d values, got %d and %d", n, m.Row(), n*m.Row(), len(x), len(xhat))
	}
	z := xhat
	if m.Out > 0 {
		z = make([]float32, n*m.D)
	}
	m.centre(z, x, n)
	if err := m.encode(z, n, c, func(pre []float32) { m.activate(pre, n, c) }); err != nil {
		return err
	}
	skipped, err := m.skip(z, n)
	if err != nil {
		return err
	}
	parallel.For(n, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			dst := xhat[b*d : (b+1)*d]
			copy(dst, m.BDec)
			if skipped != nil {
				axpy(1, skipped[b*d:(b+1)*d], dst)
			}
			c.addDecoded(dst, m.WDec, b)
			m.unscale(dst)
		}
	})
	return nil
}

// skip is W_skip z of n rows, nil without.
func (m *Model) skip(z []float32, n int) (out []float32, err error) {
	if m.WSkip == nil {
		return nil, nil
	}
	err = torch.Do(func(s *torch.Scope) error {
		x := torch.WrapFloat32(s, z[:n*m.D], int64(n), int64(m.D))
		w := torch.WrapFloat32(s, m.WSkip, int64(m.Outputs()), int64(m.D))
		out = append(out, s.Linear(x, w, nil).Float32s()...)
		return nil
	})
	return out, err
}

// unscale brings a reconstruction back to the units of the stored vectors.
func (m *Model) unscale(v []float32) {
	if m.scale != 1 {
		for j := range v {
			v[j] /= m.scale
		}
	}
	for j, g := range m.gainOut {
		v[j] /= g
	}
}

// activate chooses the latents of n rows.
func (m *Model) activate(pre []float32, n int, c *Codes) {
	switch m.Arch.Activation() {
	case TopKActivation:
		c.reset(n, m.K)
		c.choose(pre, m.M)
	case GatedActivation:
		c.chooseWhere(pre, n, m.M, func(i int, a float32) (float32, bool) {
			f := m.magnitude(i, a)
			return f, a > 0 && f > 0
		})
	default:
		c.above(pre, n, m.M, m.Theta)
	}
}

// magnitude is exp(r)·W_e z + b_m of a gated latent whose gate is a = W_e z + b_g.
func (m *Model) magnitude(i int, a float32) float32 {
	return float32(math.Exp(float64(m.RMag[i])))*(a-m.BEnc[i]) + m.BMag[i]
}
