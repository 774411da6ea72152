package export

import (
	"math"
	"path/filepath"

	"actfleet/trainer/sae"
)

var npzNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}

const (
	npzFile = "params.npz"
	npzGate = "b_gate" // b_enc of a gated model
)

func writeNPZ(dir string, m *sae.Model, _ Origin) error {
	list := npzNames.weights(m)
	list[1].data = m.PlainBias()
	switch m.Arch.Activation() { // nothing more says ReLU
	case sae.TopKActivation:
		list = append(list, array{"k", nil, []int64{int64(m.K)}})
	case sae.ThresholdActivation, sae.JumpReLUActivation:
		list = append(list, threshold(m))
	case sae.GatedActivation:
		list[1].name = npzGate
		list = append(list, array{"r_mag", []int{m.M}, m.RMag}, array{"b_mag", []int{m.M}, shiftedMagnitudes(m, m.PlainBias())})
	}
	if m.Out > 0 {
		list = append(list, array{"d_out", nil, []int64{int64(m.Out)}})
	}
	if m.WSkip != nil {
		list = append(list, skip(m))
	}
	return saveNPZ(filepath.Join(dir, npzFile), list)
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

func readNPZ(dir string) (*sae.Model, error) {
	a, err := loadNPZ(filepath.Join(dir, npzFile))
	if err != nil {
		return nil, err
	}
	n := npzNames
	_, isGated := a[npzGate]
	if isGated {
		n.bEnc = npzGate
	}
	read := n.model
	if _, ok := a["d_out"]; ok {
		read = n.transcoder
	}
	m, err := read(a)
	if _, ok := a["W_skip"]; ok && err == nil {
		m, err = skipping(m, a)
	}
	if err != nil {
		return nil, err
	}
	if isGated {
		return readGated(m, a)
	}
	m.Centre()
	if k, ok := a["k"]; ok {
		return withK(m, k.integer())
	}
	if _, ok := a["threshold"]; ok {
		return jumping(m, a)
	}
	return relu(m), nil
}

// readGated takes up the magnitudes and brings both biases to those of x − b_dec.
func readGated(m *sae.Model, a arrays) (*sae.Model, error) {
	m, err := gated(m, a, "r_mag", "b_mag")
	if err != nil {
		return nil, err
	}
	plain := m.BEnc
	m.Centre()
	centred := m.BEnc
	m.BEnc = plain
	m.BMag = shiftedMagnitudes(m, centred)
	m.BEnc = centred
	return m, nil
}
