package export

import (
	"path/filepath"

	"actfleet/internal/array"
	"actfleet/trainer/sae"
)

var saelensNames = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}

const (
	saelensCfg     = "cfg.json"
	saelensWeights = "sae_weights.safetensors"
	saelensScaler  = "activation_scaler.json"
	// saelensVersion is the release whose form of cfg.json is written; without one, readers take the file for one of
	// before 6 and drop half of the metadata.
	saelensVersion = "6.54.12"
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
func saelensArch(c *saelensConfig, m *sae.Model) []array.Array {
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
		list[1].Name = "b_gate"
		list = append(list, array.Of("r_mag", []int{m.M}, m.RMag), array.Of("b_mag", []int{m.M}, m.BMag))
	}
	return list
}

// saelensTranscoder does so for a transcoder, of which the layout has ReLU and JumpReLU.
func saelensTranscoder(c *saelensConfig, m *sae.Model, list []array.Array) []array.Array {
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

// metadata is what the layout has keys for and the origin knows. A key that is not there is one that is not known;
// readers that want one find null in its place.
func (o Origin) metadata() map[string]any {
	m := map[string]any{"sae_lens_version": saelensVersion, "sae_lens_training_version": nil}
	for key, text := range map[string]string{"model_name": o.Model, "hook_name": o.Hook.TransformerLens, "hf_hook_name": o.Hook.HuggingFace,
		"hook_name_out": o.Target.TransformerLens, "hf_hook_name_out": o.Target.HuggingFace, "dataset_path": o.Data,
		"written_by": o.Program, "column": o.Column, "adapter": o.Adapter} {
		if text != "" {
			m[key] = text
		}
	}
	if o.Context > 0 {
		m["context_size"] = o.Context
	}
	if o.BOS != nil {
		m["prepend_bos"] = *o.BOS
	}
	return m
}
