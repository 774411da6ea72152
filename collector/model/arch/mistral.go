package arch

// mistralConfig is config.json of Hugging Face's MistralForCausalLM: Llama without biases, with one
// window for all blocks.
type mistralConfig struct {
	decoderConfig
	Act    string `json:"hidden_act"`
	Window *int   `json:"sliding_window"` // null: none
}

func designMistral(text Config, _ func(string) bool) (design, error) {
	window, kv := 4096, 8
	c := mistralConfig{Act: "silu", Window: &window,
		decoderConfig: decoderConfig{Vocab: 32000, Hidden: 4096, Inner: 14336, Layers: 32, Heads: 32, KVHeads: &kv, Positions: 4096 * 32, Eps: 1e-6}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, err := c.design(c.Act, 10000)
	if err != nil || c.Window == nil {
		return d, err
	}
	return d, (windowConfig{Window: c.Window}).windows(&d, func(int) bool { return true })
}
