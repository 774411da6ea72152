package arch

// llamaConfig is config.json of Hugging Face's LlamaForCausalLM; TinyLlama has the same.
type llamaConfig struct {
	decoderConfig
	Act      string `json:"hidden_act"`
	AttnBias bool   `json:"attention_bias"`
	MLPBias  bool   `json:"mlp_bias"`
}

func llamaDefaults() llamaConfig {
	return llamaConfig{Act: "silu", decoderConfig: decoderConfig{Vocab: 32000, Hidden: 4096, Inner: 11008, Layers: 32, Heads: 32, Positions: 2048, Eps: 1e-6}}
}

func designLlama(text Config, _ func(string) bool) (design, error) {
	c := llamaDefaults()
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	return c.design()
}

// design has biases where the config says so.
func (c llamaConfig) design() (design, error) {
	d, err := c.decoderConfig.design(c.Act, 10000)
	d.biases(c.AttnBias, c.AttnBias, c.MLPBias)
	return d, err
}
