package export

import (
	"path/filepath"
	"strings"

	"actfleet/internal/array"
	"actfleet/trainer/export/npy"
	"actfleet/trainer/sae"
)

var npzNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}

const (
	npzFile = "params.npz"
	npzGate = "b_gate" // b_enc of a gated model
)

func writeNPZ(dir string, m *sae.Model, _ Origin) error {
	list := npzNames.weights(m)
	list[1] = array.Of(npzNames.bEnc, []int{m.M}, m.PlainBias())
	switch m.Arch.Activation() { // nothing more says ReLU
	case sae.TopKActivation:
		list = append(list, array.Of("k", nil, []int64{int64(m.K)}))
	case sae.ThresholdActivation, sae.JumpReLUActivation:
		list = append(list, threshold(m))
	case sae.GatedActivation:
		list[1].Name = npzGate
		list = append(list, array.Of("r_mag", []int{m.M}, m.RMag), array.Of("b_mag", []int{m.M}, shiftedMagnitudes(m, m.PlainBias())))
	}
	if m.Out > 0 {
		list = append(list, array.Of("d_out", nil, []int64{int64(m.Out)}))
	}
	if m.WSkip != nil {
		list = append(list, skip(m))
	}
	return npy.Save(filepath.Join(dir, npzFile), list)
}

var layoutNPZ = layout{writeNPZ, readNPZ}

// readNPZ reads our own layout and that of Gemma Scope, whose autoencoders and transcoders have the same arrays.
func readNPZ(p place) (*sae.Model, error) {
	list, err := npy.Load(filepath.Join(p.dir, p.name(npzFile)))
	if err != nil {
		return nil, err
	}
	a := arrays{}
	for name, x := range list {
		if small, ok := strings.CutPrefix(name, "w_"); ok {
			name = "W_" + small
		}
		x.Name = name
		a[name] = x
	}
	factors, err := (&saelensFunction{}).factors(a)
	if err != nil || factors != nil {
		return nil, err
	}
	m, err := npzModel(a, p.transcoder)
	if err != nil {
		return nil, err
	}
	return m, a.rest()
}

func npzModel(a arrays, transcoder bool) (*sae.Model, error) {
	n, gates := npzNames, a.has(npzGate)
	if gates {
		n.bEnc = npzGate
	}
	if a.has("d_out") {
		transcoder = true
		a.skip("d_out")
	}
	read := n.model
	if transcoder {
		read = n.transcoder
	}
	m, err := read(a)
	if err != nil {
		return nil, err
	}
	err = npzActivation(relu(m), a, gates)
	if err == nil && a.has("W_skip") {
		err = skipping(m, a)
	}
	if err == nil && !transcoder {
		centre(m)
	}
	return m, err
}

// npzActivation gives a model the activation that its arrays tell, which is a ReLU so far.
func npzActivation(m *sae.Model, a arrays, gates bool) error {
	switch {
	case gates:
		return gated(m, a, "r_mag", "b_mag")
	case a.has("threshold"):
		return jumping(m, a, "threshold")
	case !a.has("k"):
		return nil
	}
	k, err := a.whole("k")
	if err != nil {
		return err
	}
	return withK(m, k)
}
