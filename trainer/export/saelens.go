package export

import (
	"fmt"
	"path/filepath"

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
	Metadata     map[string]any `json:"metadata"`
}

func writeSAELens(dir string, m *sae.Model, o Origin) error {
	c := saelensConfig{DIn: m.D, DSAE: m.M, Dtype: "float32", Device: "cpu", Centred: true, Normalize: "none", Reshape: "none", Metadata: o.metadata()}
	list := saelensNames.weights(m)
	switch m.Arch {
	case sae.TopK:
		k, rescale := m.K, false
		c.Architecture, c.K, c.Rescale = "topk", &k, &rescale
	case sae.ReLU, sae.ReLUApril:
		c.Architecture = "standard"
	case sae.JumpReLU, sae.BatchTopK, sae.Matryoshka:
		c.Architecture, list = "jumprelu", append(list, threshold(m))
	default:
		return refuse(SAELens, m)
	}
	if err := saveJSON(filepath.Join(dir, saelensCfg), c); err != nil {
		return err
	}
	return saveTensors(filepath.Join(dir, saelensWeights), list)
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
	if c.Normalize != "none" && c.Normalize != "" || c.Reshape != "none" && c.Reshape != "" || c.Rescale != nil && *c.Rescale {
		return nil, fmt.Errorf("%w: normalize_activations %q, reshape_activations %q and rescaling by the decoder are not read", ErrFormat, c.Normalize, c.Reshape)
	}
	a, err := loadTensors(filepath.Join(dir, saelensWeights))
	if err != nil {
		return nil, err
	}
	m, err := saelensNames.model(a)
	if err != nil {
		return nil, err
	}
	if !c.Centred {
		m.Centre()
	}
	switch c.Architecture {
	case "topk":
		if c.K == nil {
			return nil, fmt.Errorf("%w: %s has no k", ErrFormat, saelensCfg)
		}
		return withK(m, *c.K)
	case "standard":
		return relu(m), nil
	case "jumprelu":
		return jumping(m, a)
	}
	return nil, fmt.Errorf("%w: architecture %q is not read", ErrFormat, c.Architecture)
}
