package export

import (
	"path/filepath"

	"actfleet/trainer/sae"
)

// circuit-tracer keeps a set of transcoders, one layer_N.safetensors for each layer, all of a ReLU unless there are
// thresholds.
var tracerNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec"}

const tracerThreshold = "activation_function.threshold"

func readTracer(p place) (*sae.Model, error) {
	a, err := loadTensors(filepath.Join(p.dir, p.file))
	if err != nil {
		return nil, err
	}
	n := tracerNames
	if enc, dec := a["W_enc"].Shape, a["W_dec"].Shape; len(enc) == 2 && len(dec) == 2 && enc[0] != dec[0] && enc[0] == dec[1] {
		n.decT = true // its first files
	}
	m, err := n.transcoder(a)
	if err == nil && a.has(tracerThreshold) {
		err = jumping(m, a, tracerThreshold)
	}
	if err == nil && a.has("W_skip") {
		err = skipping(m, a)
	}
	if err != nil {
		return nil, err
	}
	return m, a.rest()
}
