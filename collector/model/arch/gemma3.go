package arch

import (
	"fmt"
)

// gemma3Config is config.json of Hugging Face's Gemma3ForCausalLM (text only).
type gemma3Config struct {
	gemmaConfig
	windowConfig
	Act         string   `json:"hidden_activation"`
	QueryScalar float64  `json:"query_pre_attn_scalar"`
	LogitCap    *float64 `json:"final_logit_softcapping"`
	LocalTheta  *float64 `json:"rope_local_base_freq"`
	Pattern     int      `json:"sliding_window_pattern"`  // every so manieth block has no window
	Written     *int     `json:"_sliding_window_pattern"` // as transformers writes it, and does not read it
}

// designGemma3 is Gemma 2 with QK-norm, five windowed blocks to one full, and two rotations: a scaling rule
// applies to full blocks alone. attn_logit_softcapping is not read by Hugging Face either.
func designGemma3(text Config, _ func(string) bool) (design, error) {
	window := 4096
	c := gemma3Config{gemmaConfig: gemmaDefaults(2304, 9216, 26, 8, 4, 262208, 131072), windowConfig: windowConfig{Window: &window},
		Act: "gelu_pytorch_tanh", QueryScalar: 256, Pattern: 6}
	if err := parse(text, &c, "hidden_act attn_logit_softcapping"); err != nil {
		return design{}, err
	}
	return c.design()
}

func (c gemma3Config) design() (design, error) {
	if c.Pattern < 1 || c.LayerTypes == nil && or(c.Written, c.Pattern) != c.Pattern {
		return design{}, fmt.Errorf("%w: config.json: _sliding_window_pattern is %d; layer_types must say which layers slide", ErrUnsupported, or(c.Written, 0))
	}
	full, local, err := c.byWindow(1e6, or(c.LocalTheta, 1e4))
	if err != nil {
		return design{}, err
	}
	c.rotaryConfig = rotaryConfig{} // the blocks' rotations are set below
	d, err := c.gemmaConfig.design(c.Act, 1e6)
	if err != nil {
		return d, err
	}
	d.normHeads()
	if err := c.windows(&d, func(i int) bool { return (i+1)%c.Pattern != 0 }); err != nil {
		return d, err
	}
	if err := d.turnByWindow(full, local, c.Positions); err != nil {
		return d, err
	}
	if d.logitCap, err = softcap("final_logit_softcapping", c.LogitCap); err != nil {
		return d, err
	}
	return d, queryScale(&d, c.QueryScalar)
}
