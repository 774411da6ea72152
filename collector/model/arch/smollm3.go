package arch

import "fmt"

// smollm3Config is config.json of Hugging Face's SmolLM3ForCausalLM.
type smollm3Config struct {
	llamaConfig
	windowConfig
	UseWindow bool  `json:"use_sliding_window"`
	Turns     []int `json:"no_rope_layers"`         // of each block: 1 if its queries and keys turn, 0 if not
	Interval  int   `json:"no_rope_layer_interval"` // without no_rope_layers: every so manieth does not
}

// designSmolLM3 is Llama in which some blocks do not turn (NoPE); a window is for those alone.
func designSmolLM3(text Config, _ func(string) bool) (design, error) {
	kv := 4
	c := smollm3Config{Interval: 4, llamaConfig: llamaConfig{Act: "silu",
		decoderConfig: decoderConfig{Vocab: 128256, Hidden: 2048, Inner: 11008, Layers: 36, Heads: 16, KVHeads: &kv, Positions: 32768, Eps: 1e-6, Tied: true}}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, err := c.decoderConfig.design(c.Act, 2e6)
	if err != nil {
		return d, err
	}
	d.biases(c.AttnBias, c.AttnBias, c.MLPBias)
	if c.Interval < 1 || c.Turns != nil && len(c.Turns) != c.Layers {
		return d, fmt.Errorf("%w: config.json: no_rope_layers has %d entries, num_hidden_layers is %d, no_rope_layer_interval %d", ErrUnsupported, len(c.Turns), c.Layers, c.Interval)
	}
	turns := func(i int) bool { return c.Turns == nil && (i+1)%c.Interval != 0 || c.Turns != nil && c.Turns[i] != 0 }
	for i := range d.layers {
		if !turns(i) {
			d.layers[i].attention.rotary = nil
		}
	}
	if err := c.windows(&d, func(i int) bool { return c.UseWindow && c.Window != nil && !turns(i) }); err != nil {
		return d, err
	}
	return d, c.checkWindows(d)
}

// checkWindows refuses layer_types that use_sliding_window contradicts: what transformers computes then depends on its
// attention kernel.
func (c smollm3Config) checkWindows(d design) error {
	for i, b := range d.layers {
		if b.attention.scores.Window > 0 && !c.UseWindow {
			return fmt.Errorf("%w: config.json: layer_types[%d] is sliding_attention, use_sliding_window is false", ErrUnsupported, i)
		}
	}
	return nil
}
