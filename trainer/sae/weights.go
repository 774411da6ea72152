package sae

// Weights are the arrays of a model with no scale: a = W_enc (x − b_dec) + b_enc.
type Weights struct {
	D, M int
	WEnc []float32 // [M, D]
	BEnc []float32 // [M]
	WDec []float32 // [M, D]
	BDec []float32 // [D]
}

// NewModel is a model of arrays made elsewhere, which it shares. Arch and what belongs to it are
// the caller's to set.
func NewModel(w Weights) *Model {
	return &Model{D: w.D, M: w.M, scale: 1, WEnc: w.WEnc, BEnc: w.BEnc, WDec: w.WDec, BDec: w.BDec}
}

// PlainBias is b_enc of the same function written as a = W_enc x + b: b_enc − W_enc b_dec.
func (m *Model) PlainBias() []float32 { return m.shifted(-1) }

// Centre takes BEnc for PlainBias, as files of others have it, and turns it into our own.
func (m *Model) Centre() { m.BEnc = m.shifted(1) }

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
