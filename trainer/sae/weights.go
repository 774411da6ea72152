package sae

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

// NewModel is a model of arrays made elsewhere, which it shares. Arch and what belongs to it are
// the caller's to set.
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

// Centre takes BEnc for PlainBias, as files of others have it, and turns it into our own. A
// transcoder's is plain in both.
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
