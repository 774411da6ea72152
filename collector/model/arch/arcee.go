package arch

// designArcee is config.json of Hugging Face's ArceeForCausalLM: Llama with an MLP that has no gate.
func designArcee(text Config, _ func(string) bool) (design, error) {
	c := llamaConfig{Act: "relu2", decoderConfig: decoderConfig{Vocab: 32000, Hidden: 2560, Inner: 18432, Layers: 32, Heads: 32, Positions: 4096, Eps: 1e-5}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	return c.design()
}
