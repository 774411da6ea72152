package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"actfleet/internal/array"
	"actfleet/trainer/sae"
)

// circuit-tracer keeps a set of transcoders, one layer_N.safetensors for each layer beside config.yaml, all of a ReLU
// unless there are thresholds.
var tracerNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec"}

const (
	tracerCfg       = "config.yaml"
	tracerThreshold = "activation_function.threshold"
)

// writeTracer writes the one layer of a set; put into one folder, those of all layers are a set.
func writeTracer(dir string, m *sae.Model, o Origin) error {
	list := tracerNames.weights(m)
	if m.Arch.Activation().HasThresholds() {
		list = append(list, array.Of(tracerThreshold, []int{m.M}, m.Theta))
	}
	if m.WSkip != nil {
		list = append(list, skip(m))
	}
	var text strings.Builder
	for _, line := range [][2]string{{"model_name", o.Model}, {"model_kind", "transcoder_set"},
		{"feature_input_hook", inBlock(o.Hook.TransformerLens)}, {"feature_output_hook", inBlock(o.Target.TransformerLens)}} {
		quoted, err := json.Marshal(line[1]) // a text of JSON is one of YAML
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s: %s\n", line[0], quoted)
	}
	if err := os.WriteFile(filepath.Join(dir, tracerCfg), []byte(text.String()), 0o644); err != nil {
		return err
	}
	return saveTensors(filepath.Join(dir, fmt.Sprintf("layer_%d.safetensors", o.Layer)), list)
}

// inBlock is the name of a hook without its layer, as the layout has it for all of them.
func inBlock(hook string) string {
	parts := strings.SplitN(hook, ".", 3)
	return parts[len(parts)-1]
}

var layoutTracer = layout{writeTracer, readTracer}

func readTracer(p place) (*sae.Model, error) {
	a, err := loadTensors(filepath.Join(p.dir, p.file))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(oneLayer(a, gemmaNames.wDec), oneLayer(a, tracerNames.wDec)); err != nil {
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
