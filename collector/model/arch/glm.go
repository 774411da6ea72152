package arch

// glmConfig is config.json of Hugging Face's GlmForCausalLM and Glm4ForCausalLM.
type glmConfig struct {
	decoderConfig
	Act      string   `json:"hidden_act"`
	AttnBias bool     `json:"attention_bias"`
	Partial  *float64 `json:"partial_rotary_factor"`
}

// designGLM has fused gate and up, biases on q, k and v, and turns neighbouring channels of a part of each head. GLM-4
// as glm4 norms what attention and MLP read and what they give.
func designGLM(text Config, _ func(string) bool) (design, error) {
	kv, width := 2, 128
	c := glmConfig{Act: "silu", AttnBias: true,
		decoderConfig: decoderConfig{Vocab: 151552, Hidden: 4096, Inner: 13696, Layers: 40, Heads: 32, KVHeads: &kv, HeadWidth: &width, Positions: 131072, Eps: 1.5625e-7}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, rope, err := c.unturned(c.Act)
	if err != nil {
		return d, err
	}
	d.biases(c.AttnBias, false, false)
	return d, rope.turnPart(&d, ropeDefaults{theta: 10000, partial: or(c.Partial, 0.5), positions: c.Positions, adjacent: true})
}
