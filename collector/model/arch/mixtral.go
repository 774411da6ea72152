package arch

import "actfleet/collector/model/layer"

// mixtralConfig is config.json of Hugging Face's MixtralForCausalLM.
type mixtralConfig struct {
	decoderConfig
	Act     string `json:"hidden_act"`
	Window  *int   `json:"sliding_window"` // null: none
	Experts int    `json:"num_local_experts"`
	Chosen  int    `json:"num_experts_per_tok"`
}

// mixtureHarmless are keys of mixtures about training.
const mixtureHarmless = "router_aux_loss_coef router_jitter_noise"

// designMixtral is Mistral with experts, of which each token goes through a few, by weights whose sum is 1.
func designMixtral(text Config, _ func(string) bool) (design, error) {
	kv := 8
	c := mixtralConfig{Act: "silu", Experts: 8, Chosen: 2,
		decoderConfig: decoderConfig{Vocab: 32000, Hidden: 4096, Inner: 14336, Layers: 32, Heads: 32, KVHeads: &kv, Positions: 4096 * 32, Eps: 1e-5}}
	if err := parse(text, &c, mixtureHarmless); err != nil {
		return design{}, err
	}
	d, err := c.design(c.Act, 1e6)
	if err != nil {
		return d, err
	}
	e := expertsDesign{count: c.Experts, inner: c.Inner, routing: layer.Routing{Chosen: c.Chosen, Norm: true}}
	if err := d.mixture(e, func(int) bool { return true }, "num_local_experts"); err != nil || c.Window == nil {
		return d, err
	}
	return d, (windowConfig{Window: c.Window}).windows(&d, func(int) bool { return true })
}
