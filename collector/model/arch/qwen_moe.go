package arch

import (
	"slices"

	"actfleet/collector/model/layer"
)

// qwenMoEConfig is what config.json of Hugging Face's Qwen2MoeForCausalLM and Qwen3MoeForCausalLM share.
type qwenMoEConfig struct {
	decoderConfig
	Act         string `json:"hidden_act"`
	Experts     int    `json:"num_experts"`
	Chosen      int    `json:"num_experts_per_tok"`
	ExpertInner int    `json:"moe_intermediate_size"`
	Norm        bool   `json:"norm_topk_prob"`
	Step        int    `json:"decoder_sparse_step"` // every so manieth block has experts,
	Dense       []int  `json:"mlp_only_layers"`     // but these have none
	UseWindow   bool   `json:"use_sliding_window"`
}

func (c qwenMoEConfig) mixture(d *design, shared int) error {
	if err := checkSizes(map[string]int{"decoder_sparse_step": c.Step}); err != nil {
		return err
	}
	e := expertsDesign{count: c.Experts, inner: c.ExpertInner, shared: shared, sharedGate: shared > 0, routing: layer.Routing{Chosen: c.Chosen, Norm: c.Norm}}
	return d.mixture(e, func(i int) bool { return (i+1)%c.Step == 0 && !slices.Contains(c.Dense, i) }, "num_experts")
}

// designQwen2MoE is Qwen 2 with experts, beside which every token goes through a shared one, to a part of its own.
func designQwen2MoE(text Config, _ func(string) bool) (design, error) {
	var c struct {
		qwenMoEConfig
		windowConfig
		Shared     int  `json:"shared_expert_intermediate_size"`
		QKVBias    bool `json:"qkv_bias"`
		FullLayers int  `json:"max_window_layers"`
	}
	kv, window := 16, 4096
	c.qwenMoEConfig = qwenMoEConfig{Act: "silu", Experts: 60, Chosen: 4, ExpertInner: 1408, Step: 1,
		decoderConfig: decoderConfig{Vocab: 151936, Hidden: 2048, Inner: 5632, Layers: 24, Heads: 16, KVHeads: &kv, Positions: 32768, Eps: 1e-6}}
	c.windowConfig, c.Shared, c.QKVBias, c.FullLayers = windowConfig{Window: &window}, 5632, true, 28
	if err := parse(text, &c, mixtureHarmless); err != nil {
		return design{}, err
	}
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	if err := checkSizes(map[string]int{"shared_expert_intermediate_size": c.Shared}); err != nil {
		return d, err
	}
	d.biases(c.QKVBias, false, false)
	if !c.UseWindow {
		c.Window = nil
	}
	if err := c.windows(&d, func(i int) bool { return c.Window != nil && (i+1)%2 != 0 && i < c.FullLayers }); err != nil {
		return d, err
	}
	return d, c.mixture(&d, c.Shared)
}

// designQwen3MoE is Qwen 3 with experts; a window is for all blocks.
func designQwen3MoE(text Config, _ func(string) bool) (design, error) {
	var c struct {
		qwenMoEConfig
		Window   *int `json:"sliding_window"`
		AttnBias bool `json:"attention_bias"`
	}
	kv, window := 4, 4096
	c.qwenMoEConfig = qwenMoEConfig{Act: "silu", Experts: 128, Chosen: 8, ExpertInner: 768, Step: 1,
		decoderConfig: decoderConfig{Vocab: 151936, Hidden: 2048, Inner: 6144, Layers: 24, Heads: 32, KVHeads: &kv, Positions: 32768, Eps: 1e-6}}
	c.Window = &window
	if err := parse(text, &c, mixtureHarmless+" max_window_layers"); err != nil {
		return design{}, err
	}
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	d.biases(c.AttnBias, c.AttnBias, false)
	d.normHeads()
	if err := c.mixture(&d, 0); err != nil || !c.UseWindow || c.Window == nil {
		return d, err
	}
	return d, (windowConfig{Window: c.Window}).windows(&d, func(int) bool { return true })
}
