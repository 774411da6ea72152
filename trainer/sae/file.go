package sae

import (
	"fmt"

	"actfleet/trainer/state"
)

// Save writes W_enc [d, M], b_enc [M], W_dec [M, out], b_dec [out] and, where there are some,
// threshold, r_mag, b_mag [M] and W_skip [out, d].
func (m *Model) Save(path string) error {
	f := m.folded()
	t := transpose(f.WEnc, f.M, f.D)
	return f.files(t).Save(path, map[string]string{"format": "pt"})
}

// Load reads what Save wrote.
func Load(path string, s Shape) (*Model, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err := state.Holds(path, 4*s.weights()); err != nil {
		return nil, err
	}
	f := newModel(s)
	t := make([]float32, s.D*s.M)
	if err := f.files(t).LoadFinite(path); err != nil {
		return nil, err
	}
	f.WEnc = transpose(t, s.D, s.M)
	return f, nil
}

// weights is how many numbers the matrices of a model hold.
func (s Shape) weights() float64 {
	n := float64(s.D+s.Outputs()) * float64(s.M)
	if s.Skip {
		n += float64(s.D) * float64(s.Outputs())
	}
	return n
}

func (m *Model) files(wEncT []float32) *state.Set {
	s := &state.Set{}
	state.Add(s, "W_enc", wEncT, m.D, m.M)
	state.Add(s, "b_enc", m.BEnc)
	state.Add(s, "W_dec", m.WDec, m.M, m.Outputs())
	state.Add(s, "b_dec", m.BDec)
	if m.Theta != nil {
		state.Add(s, "threshold", m.Theta)
	}
	if m.RMag != nil {
		state.Add(s, "r_mag", m.RMag)
		state.Add(s, "b_mag", m.BMag)
	}
	if m.WSkip != nil {
		state.Add(s, "W_skip", m.WSkip, m.Outputs(), m.D)
	}
	return s
}

// folded is the same function with s = 1, about b_d unless it is a transcoder. It shares W_enc and
// W_dec where their columns have one scale.
func (m *Model) folded() *Model {
	f := *m
	f.WEnc, f.WDec = columnwise(m.WEnc, m.gainIn, times), columnwise(m.WDec, m.gainOut, over)
	f.BEnc, f.BMag = divided(m.BEnc, m.scale), divided(m.BMag, m.scale)
	f.Theta = divided(m.Theta, m.scale)
	f.BDec = columnwise(divided(m.BDec, m.scale), m.gainOut, over)
	f.foldSkip()
	f.scale, f.gainIn, f.gainOut, f.plain = 1, nil, nil, m.Out > 0
	if m.plain && !f.plain {
		f.Centre()
	}
	return &f
}

// foldSkip takes the scales into W_skip.
func (m *Model) foldSkip() {
	m.WSkip = columnwise(m.WSkip, m.gainIn, times)
	if m.WSkip == nil || m.gainOut == nil {
		return
	}
	t := transpose(m.WSkip, m.Outputs(), m.D)
	m.WSkip = transpose(columnwise(t, m.gainOut, over), m.D, m.Outputs())
}

func times(a, b float32) float32 { return a * b }
func over(a, b float32) float32  { return a / b }

// columnwise applies f to every row of w and v; v nil gives w itself.
func columnwise(w, v []float32, f func(a, b float32) float32) []float32 {
	if v == nil || w == nil {
		return w
	}
	out := make([]float32, len(w))
	for i := range w {
		out[i] = f(w[i], v[i%len(v)])
	}
	return out
}

func divided(v []float32, by float32) []float32 {
	if v == nil {
		return nil
	}
	out := make([]float32, len(v))
	for i := range v {
		out[i] = v[i] / by
	}
	return out
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
