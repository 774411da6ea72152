package export

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"actfleet/trainer/sae"
)

var saelensNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}

const (
	saelensCfg     = "cfg.json"
	saelensWeights = "sae_weights.safetensors"
)

// saelensConfig is cfg.json.
type saelensConfig struct {
	Architecture string         `json:"architecture"`
	DIn          int            `json:"d_in"`
	DSAE         int            `json:"d_sae"`
	Dtype        string         `json:"dtype"`
	Device       string         `json:"device"`
	Centred      bool           `json:"apply_b_dec_to_input"`
	Normalize    string         `json:"normalize_activations"`
	Reshape      string         `json:"reshape_activations"`
	K            *int           `json:"k,omitempty"`
	Rescale      *bool          `json:"rescale_acts_by_decoder_norm,omitempty"`
	DOut         int            `json:"d_out,omitempty"`
	Metadata     map[string]any `json:"metadata"`
}

func writeSAELens(dir string, m *sae.Model, o Origin) error {
	c := saelensConfig{DIn: m.D, DSAE: m.M, Dtype: "float32", Device: "cpu", Centred: m.Out == 0, Normalize: "none", Reshape: "none",
		DOut: m.Out, Metadata: o.metadata()}
	list := saelensArch(&c, m)
	if err := saveJSON(filepath.Join(dir, saelensCfg), c); err != nil {
		return err
	}
	return saveTensors(filepath.Join(dir, saelensWeights), list)
}

// saelensArch says what the model is called and which arrays it has.
func saelensArch(c *saelensConfig, m *sae.Model) []array {
	list := saelensNames.weights(m)
	if m.Out > 0 {
		return saelensTranscoder(c, m, list)
	}
	switch m.Arch.Activation() {
	case sae.TopKActivation:
		k, rescale := m.K, false
		c.Architecture, c.K, c.Rescale = "topk", &k, &rescale
	case sae.ReLUActivation:
		c.Architecture = "standard"
	case sae.ThresholdActivation, sae.JumpReLUActivation:
		c.Architecture, list = "jumprelu", append(list, threshold(m))
	case sae.GatedActivation:
		c.Architecture = "gated"
		list[1].name = "b_gate"
		list = append(list, array{"r_mag", []int{m.M}, m.RMag}, array{"b_mag", []int{m.M}, m.BMag})
	}
	return list
}

// saelensTranscoder does so for a transcoder, of which the layout has ReLU and JumpReLU.
func saelensTranscoder(c *saelensConfig, m *sae.Model, list []array) []array {
	jump := ""
	if m.Arch.Activation().HasThresholds() {
		jump, list = "jumprelu_", append(list, threshold(m))
	}
	c.Architecture = jump + "transcoder"
	if m.WSkip != nil {
		c.Architecture, list = jump+"skip_transcoder", append(list, skip(m))
	}
	return list
}

// metadata has the keys that readers look for; null is unknown.
func (o Origin) metadata() map[string]any {
	m := map[string]any{"sae_lens_version": nil, "sae_lens_training_version": nil, "model_class_name": nil, "hook_head_index": nil,
		"model_from_pretrained_kwargs": map[string]any{}, "prepend_bos": nil, "exclude_special_tokens": nil, "neuronpedia_id": nil, "context_size": nil,
		"seqpos_slice": nil, "dataset_path": nil, "sequence_separator_token": nil, "disable_concat_sequences": nil,
		"model_name": nil, "hook_name": nil, "hook_layer": o.Layer, "written_by": nil}
	for key, text := range map[string]string{"model_name": o.Model, "hook_name": o.Hook, "written_by": o.Program} {
		if text != "" {
			m[key] = text
		}
	}
	return m
}

func readSAELens(dir string) (*sae.Model, error) {
	var c saelensConfig
	if err := loadJSON(filepath.Join(dir, saelensCfg), &c); err != nil {
		return nil, err
	}
	if c.Normalize != "none" && c.Normalize != "" || c.Reshape != "none" && c.Reshape != "" {
		return nil, fmt.Errorf("%w: normalize_activations %q and reshape_activations %q are not read", ErrFormat, c.Normalize, c.Reshape)
	}
	a, err := loadTensors(filepath.Join(dir, saelensWeights))
	if err != nil {
		return nil, err
	}
	if c.DOut > 0 {
		return readSAELensTranscoder(c, a)
	}
	n := saelensNames
	if c.Architecture == "gated" {
		n.bEnc = "b_gate"
	}
	m, err := n.model(a)
	if err != nil {
		return nil, err
	}
	if !c.Centred {
		m.Centre()
	}
	switch c.Architecture {
	case "gated":
		return gated(m, a, "r_mag", "b_mag")
	case "topk":
		if c.K == nil {
			return nil, fmt.Errorf("%w: %s has no k", ErrFormat, saelensCfg)
		}
		if c.Rescale != nil && *c.Rescale {
			rescale(m)
		}
		return withK(m, *c.K)
	case "standard":
		return relu(m), nil
	case "jumprelu":
		return jumping(m, a)
	}
	return nil, fmt.Errorf("%w: architecture %q is not read", ErrFormat, c.Architecture)
}

func readSAELensTranscoder(c saelensConfig, a arrays) (*sae.Model, error) {
	m, err := saelensNames.transcoder(a)
	if err != nil {
		return nil, err
	}
	kind, jumps := strings.CutPrefix(c.Architecture, "jumprelu_")
	m = relu(m)
	if jumps {
		if m, err = jumping(m, a); err != nil {
			return nil, err
		}
	}
	switch kind {
	case "transcoder":
		return m, nil
	case "skip_transcoder":
		return skipping(m, a)
	}
	return nil, fmt.Errorf("%w: architecture %q is not read", ErrFormat, c.Architecture)
}

// rescale gives every direction the length 1 and its encoder the rest, which is what choosing by
// f·‖d‖ and dividing by ‖d‖ again comes to.
func rescale(m *sae.Model) {
	for i := range m.M {
		var square float64
		dec := m.WDec[i*m.D : (i+1)*m.D]
		for _, v := range dec {
			square += float64(v) * float64(v)
		}
		norm := float32(math.Max(math.Sqrt(square), 1e-30))
		m.BEnc[i] *= norm
		for j := range dec {
			dec[j] /= norm
			m.WEnc[i*m.D+j] *= norm
		}
	}
}
