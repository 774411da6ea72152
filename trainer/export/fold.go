package export

import (
	"fmt"
	"math"

	"actfleet/trainer/sae"
)

// rescale gives every direction the length 1 and its encoder the rest, which is what choosing by
// f·‖d‖ and dividing by ‖d‖ again comes to.
func rescale(m *sae.Model) {
	d := m.Outputs()
	for i, norm := range norms(m) {
		norm = max(norm, 1e-30)
		m.BEnc[i] = float32(float64(m.BEnc[i]) * norm)
		for j := range d {
			m.WDec[i*d+j] = float32(float64(m.WDec[i*d+j]) / norm)
		}
		for j := range m.D {
			m.WEnc[i*m.D+j] = float32(float64(m.WEnc[i*m.D+j]) * norm)
		}
	}
}

// norms are the lengths of a model's directions.
func norms(m *sae.Model) []float64 {
	d, out := m.Outputs(), make([]float64, m.M)
	for i := range out {
		var square float64
		for _, v := range m.WDec[i*d : (i+1)*d] {
			square += float64(v) * float64(v)
		}
		out[i] = math.Sqrt(square)
	}
	return out
}

// unscaled makes a model of vectors times in, which predicts vectors times out, one of the vectors themselves.
func unscaled(m *sae.Model, in, out float64) error {
	if !(in > 0) || !(out > 0) || math.IsInf(in, 1) || math.IsInf(out, 1) {
		return fmt.Errorf("%w: vectors times %v and %v", ErrFormat, in, out)
	}
	times(m.WEnc, in)
	times(m.WDec, 1/out)
	times(m.BDec, 1/out)
	times(m.WSkip, in/out)
	return nil
}

func times(v []float32, by float64) {
	for i := range v {
		v[i] = float32(float64(v[i]) * by)
	}
}

// latents multiplies every latent by a factor behind the activation.
func latents(m *sae.Model, by []float32) {
	d := m.Outputs()
	for i, f := range by {
		times(m.WDec[i*d:(i+1)*d], float64(f))
	}
}

// ones tells whether factors change nothing, by the tolerance of SAELens.
func ones(v []float32) bool {
	for _, f := range v {
		if math.Abs(float64(f)-1) > 1.001e-5 {
			return false
		}
	}
	return true
}

// centre takes the biases of a model for those of x itself and makes them those of x − b_dec.
func centre(m *sae.Model) {
	plain := m.BEnc
	m.Centre()
	if m.Arch.Activation() != sae.GatedActivation {
		return
	}
	centred := m.BEnc
	m.BEnc = plain
	m.BMag = shiftedMagnitudes(m, centred)
	m.BEnc = centred
}

// shiftedMagnitudes is b_mag beside another bias of the gates that is meant for other vectors: what it has more or
// less, the factor exp(r) of the magnitudes makes of it.
func shiftedMagnitudes(m *sae.Model, bias []float32) []float32 {
	out := make([]float32, m.M)
	for i, b := range m.BMag {
		out[i] = b + float32(math.Exp(float64(m.RMag[i])))*(bias[i]-m.BEnc[i])
	}
	return out
}

// finite refuses a model that folding has taken beyond what 32 bits hold.
func finite(m *sae.Model) error {
	for name, v := range map[string][]float32{"W_enc": m.WEnc, "b_enc": m.BEnc, "W_dec": m.WDec, "b_dec": m.BDec,
		"threshold": m.Theta, "r_mag": m.RMag, "b_mag": m.BMag, "W_skip": m.WSkip} {
		for i, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fmt.Errorf("%w: %s becomes %v at element %d", ErrFormat, name, x, i)
			}
		}
	}
	return nil
}

// exponentials makes thresholds of their logarithms.
func exponentials(v []float32) {
	for i := range v {
		v[i] = float32(math.Exp(float64(v[i])))
	}
}
