package arch

import "fmt"

// starcoder2Config is config.json of Hugging Face's Starcoder2ForCausalLM.
type starcoder2Config struct {
	decoderConfig
	Act      string  `json:"hidden_act"`
	NormEps  float64 `json:"norm_epsilon"`
	Bias     bool    `json:"use_bias"`
	Window   *int    `json:"sliding_window"` // null: none
	NormType string  `json:"norm_type"`
	MLPType  string  `json:"mlp_type"`
}

// starcoder2Harmless concern the precision of other code, or repeat a key that is read.
const starcoder2Harmless = "activation_function attention_softmax_in_fp32 layer_norm_epsilon scale_attention_softmax_in_fp32"

// designStarcoder2 is Mistral with LayerNorms, an MLP without a gate, and biases.
func designStarcoder2(text Config, _ func(string) bool) (design, error) {
	kv := 2
	c := starcoder2Config{Act: "gelu_pytorch_tanh", NormEps: 1e-5, Bias: true, NormType: "layer_norm", MLPType: "default",
		decoderConfig: decoderConfig{Vocab: 49152, Hidden: 3072, Inner: 12288, Layers: 30, Heads: 24, KVHeads: &kv, Positions: 4096, Tied: true}}
	if err := parse(text, &c, starcoder2Harmless); err != nil {
		return design{}, err
	}
	if c.NormType != "layer_norm" || c.MLPType != "default" {
		return design{}, fmt.Errorf("%w: config.json: norm_type %q with mlp_type %q", ErrUnsupported, c.NormType, c.MLPType)
	}
	d, err := c.design(c.Act, 10000)
	d.norm = normKind{eps: c.NormEps, bias: true}
	d.biases(c.Bias, c.Bias, c.Bias)
	if err != nil || c.Window == nil {
		return d, err
	}
	return d, (windowConfig{Window: c.Window}).windows(&d, func(int) bool { return true })
}
