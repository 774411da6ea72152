package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// qwenConfig is config.json of Hugging Face's Qwen2ForCausalLM and Qwen3ForCausalLM.
type qwenConfig struct {
	decoderConfig
	windowConfig
	Act        string `json:"hidden_act"`
	UseWindow  bool   `json:"use_sliding_window"`
	FullLayers int    `json:"max_window_layers"` // the first so many blocks have no window
}

func qwenDefaults() qwenConfig {
	window, kv := 4096, 32
	return qwenConfig{Act: "silu", FullLayers: 28, windowConfig: windowConfig{Window: &window},
		decoderConfig: decoderConfig{Vocab: 151936, Hidden: 4096, Inner: 22016, Layers: 32, Heads: 32, KVHeads: &kv, Positions: 32768, Eps: 1e-6}}
}

func (c qwenConfig) design() (design, error) {
	d, err := c.decoderConfig.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	if !c.UseWindow {
		c.Window = nil
	}
	return d, c.windows(&d, func(i int) bool { return c.Window != nil && i >= c.FullLayers })
}

var familyQwen2 = family{loadQwen2, oldRotary, "model.", "embed_tokens.weight"}

// loadQwen2 has biases on q, k and v, and none elsewhere.
func loadQwen2(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	c := qwenDefaults()
	if err := parse(text, &c, ""); err != nil {
		return nil, err
	}
	d, err := c.design()
	if err != nil {
		return nil, err
	}
	d.bias.qkv = true
	return loadDecoder(s, d, src)
}

var familyQwen3 = family{loadQwen3, oldRotary, "model.", "embed_tokens.weight"}

// loadQwen3 norms each query and key head; its biases are all or none, and none in the MLP.
func loadQwen3(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	var c struct {
		qwenConfig
		AttnBias bool `json:"attention_bias"`
	}
	width := 128
	c.qwenConfig = qwenDefaults()
	c.HeadWidth = &width
	if err := parse(text, &c, ""); err != nil {
		return nil, err
	}
	d, err := c.design()
	if err != nil {
		return nil, err
	}
	d.qkNorm, d.bias.qkv, d.bias.out = true, c.AttnBias, c.AttnBias
	return loadDecoder(s, d, src)
}
