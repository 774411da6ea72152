package arch

import (
	"fmt"

	"actfleet/collector/model/layer"
)

// olmoeConfig is config.json of Hugging Face's OlmoeForCausalLM.
type olmoeConfig struct {
	decoderConfig
	Act      string   `json:"hidden_act"`
	AttnBias bool     `json:"attention_bias"`
	Clip     *float64 `json:"clip_qkv"` // null: none
	Experts  int      `json:"num_experts"`
	Chosen   int      `json:"num_experts_per_tok"`
	Norm     bool     `json:"norm_topk_prob"`
}

// designOlmoe norms all queries and all keys of a position together, and has experts.
func designOlmoe(text Config, _ func(string) bool) (design, error) {
	c := olmoeConfig{Act: "silu", Experts: 64, Chosen: 8,
		decoderConfig: decoderConfig{Vocab: 50304, Hidden: 2048, Inner: 2048, Layers: 16, Heads: 16, Positions: 4096, Eps: 1e-5}}
	if err := parse(text, &c, mixtureHarmless); err != nil {
		return design{}, err
	}
	if or(c.Clip, 1) <= 0 || or(c.HeadWidth, ratio(c.Hidden, c.Heads)) != ratio(c.Hidden, c.Heads) {
		return design{}, fmt.Errorf("%w: config.json: clip_qkv %g, or head_dim %d (it is hidden_size / num_attention_heads)", ErrUnsupported, or(c.Clip, 0), or(c.HeadWidth, 0))
	}
	c.HeadWidth = nil
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	d.biases(c.AttnBias, c.AttnBias, false)
	for i := range d.layers {
		d.layers[i].attention.qkNorm, d.layers[i].attention.clip = normAllHeads, or(c.Clip, 0)
	}
	e := expertsDesign{count: c.Experts, inner: c.Inner, routing: layer.Routing{Chosen: c.Chosen, Norm: c.Norm}}
	return d, d.mixture(e, func(int) bool { return true }, "num_experts")
}
