package arch

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

// designQwen2 has biases on q, k and v, and none elsewhere.
func designQwen2(text Config, _ func(string) bool) (design, error) {
	c := qwenDefaults()
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, err := c.design()
	d.biases(true, false, false)
	return d, err
}

// designQwen3 norms each query and key head; its biases are all or none, and none in the MLP.
func designQwen3(text Config, _ func(string) bool) (design, error) {
	var c struct {
		qwenConfig
		AttnBias bool `json:"attention_bias"`
	}
	width := 128
	c.qwenConfig = qwenDefaults()
	c.HeadWidth = &width
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, err := c.design()
	d.biases(c.AttnBias, c.AttnBias, false)
	d.normHeads()
	return d, err
}

// normHeads norms each query and key head of every block.
func (d *design) normHeads() {
	for i := range d.layers {
		d.layers[i].attention.qkNorm = normHeads
	}
}
