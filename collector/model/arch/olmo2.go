package arch

import "fmt"

// olmo2Config is config.json of Hugging Face's Olmo2ForCausalLM.
type olmo2Config struct {
	decoderConfig
	Act      string `json:"hidden_act"`
	AttnBias bool   `json:"attention_bias"`
}

func olmo2Defaults() olmo2Config {
	return olmo2Config{Act: "silu", decoderConfig: decoderConfig{Vocab: 50304, Hidden: 4096, Inner: 11008, Layers: 32, Heads: 32, Positions: 2048, Eps: 1e-5}}
}

// design norms what attention and MLP give, not what they read, and all queries and all keys of a position together.
func (c olmo2Config) design() (design, error) {
	d, err := c.decoderConfig.design(c.Act, 10000)
	d.biases(c.AttnBias, c.AttnBias, false)
	for i := range d.layers {
		d.layers[i].attention.qkNorm = normAllHeads
	}
	return d, err
}

func designOlmo2(text Config, _ func(string) bool) (design, error) {
	c := olmo2Defaults()
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	return c.design()
}

// designOlmo3 is OLMo 2 with three windowed blocks to one full; a scaling rule applies to full blocks alone.
func designOlmo3(text Config, _ func(string) bool) (design, error) {
	const theta = 500000
	window := 4096
	c := struct {
		olmo2Config
		windowConfig
	}{olmo2Defaults(), windowConfig{Window: &window}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	if t := or(c.Theta, theta); t != theta {
		return design{}, fmt.Errorf("%w: config.json: rope_theta is %g, which transformers uses in full blocks and %d in windowed ones; "+
			"rope_parameters must give both, by full_attention and sliding_attention", ErrUnsupported, t, theta)
	}
	full, local, err := c.byWindow(theta, theta)
	if err != nil {
		return design{}, err
	}
	c.rotaryConfig = rotaryConfig{} // the blocks' rotations are set below
	d, err := c.design()
	if err != nil {
		return d, err
	}
	if err := c.windows(&d, func(i int) bool { return (i+1)%4 != 0 }); err != nil {
		return d, err
	}
	return d, d.turnByWindow(full, local, c.Positions)
}
