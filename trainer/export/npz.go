package export

import (
	"path/filepath"

	"actfleet/trainer/sae"
)

var npzNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}

const npzFile = "params.npz"

func writeNPZ(dir string, m *sae.Model, _ Origin) error {
	list := npzNames.weights(m)
	list[1].data = m.PlainBias()
	switch m.Arch {
	case sae.TopK, sae.MultiTopK:
		list = append(list, array{"k", nil, []int64{int64(m.K)}})
	case sae.JumpReLU, sae.JumpReLUTanh, sae.BatchTopK, sae.Matryoshka:
		list = append(list, threshold(m))
	case sae.ReLU, sae.ReLUApril: // nothing more: the absence says so
	default:
		return refuse(NPZ, m)
	}
	if m.Out > 0 {
		list = append(list, array{"d_out", nil, []int64{int64(m.Out)}})
	}
	if m.WSkip != nil {
		list = append(list, skip(m))
	}
	return saveNPZ(filepath.Join(dir, npzFile), list)
}

func readNPZ(dir string) (*sae.Model, error) {
	a, err := loadNPZ(filepath.Join(dir, npzFile))
	if err != nil {
		return nil, err
	}
	read := npzNames.model
	if _, ok := a["d_out"]; ok {
		read = npzNames.transcoder
	}
	m, err := read(a)
	if _, ok := a["W_skip"]; ok && err == nil {
		m, err = skipping(m, a)
	}
	if err != nil {
		return nil, err
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
