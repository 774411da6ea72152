package arch

import (
	"encoding/json"
	"fmt"

	"actfleet/collector/model/layer"
)

// gptOSSConfig is config.json of Hugging Face's GptOssForCausalLM.
type gptOSSConfig struct {
	decoderConfig
	windowConfig
	AttnBias bool    `json:"attention_bias"`
	Experts  int     `json:"num_local_experts"`
	Chosen   int     `json:"num_experts_per_tok"`
	Alpha    float64 `json:"swiglu_alpha"`
	Limit    float64 `json:"swiglu_limit"`
}

// derived are keys of other code that repeat others.
func (c *gptOSSConfig) derived() map[string]int { return map[string]int{"experts_per_token": c.Chosen} }

// gptOSSRope is the rule of a config that holds none.
const gptOSSRope = `{"rope_type": "yarn", "factor": 32, "beta_fast": 32, "beta_slow": 1, "truncate": false, "original_max_position_embeddings": 4096}`

// designGPTOSS has sinks, windows in every other block beginning with the first, and experts with biases behind a gate of
// their own kind; hidden_act is not read.
func designGPTOSS(text Config, _ func(string) bool) (design, error) {
	kv, width, window := 8, 64, 128
	c := gptOSSConfig{AttnBias: true, Experts: 128, Chosen: 4, Alpha: 1.702, Limit: 7, windowConfig: windowConfig{Window: &window},
		decoderConfig: decoderConfig{Vocab: 201088, Hidden: 2880, Inner: 2880, Layers: 36, Heads: 64, KVHeads: &kv, HeadWidth: &width, Positions: 131072, Eps: 1e-5}}
	if err := parse(text, &c, mixtureHarmless+" hidden_act initial_context_length"); err != nil {
		return design{}, err
	}
	if !(c.Limit > 0) || !(c.Alpha > 0) {
		return design{}, fmt.Errorf("%w: config.json: swiglu_limit %g, swiglu_alpha %g", ErrUnsupported, c.Limit, c.Alpha)
	}
	p, err := c.parameters()
	if err != nil {
		return design{}, err
	}
	if p.absent() {
		c.Parameters = json.RawMessage(gptOSSRope)
	}
	d, err := c.design("silu", 150000)
	if err != nil {
		return d, err
	}
	d.biases(c.AttnBias, c.AttnBias, false)
	for i := range d.layers {
		d.layers[i].attention.sinks, d.layers[i].mlp.clamped = true, &clampedGate{alpha: c.Alpha, limit: c.Limit}
	}
	if err := c.windows(&d, func(i int) bool { return (i+1)%2 != 0 }); err != nil {
		return d, err
	}
	e := expertsDesign{count: c.Experts, inner: c.Inner, stacked: true, routerBias: true, routing: layer.Routing{Chosen: c.Chosen, After: true}}
	return d, d.mixture(e, func(int) bool { return true }, "num_local_experts")
}
