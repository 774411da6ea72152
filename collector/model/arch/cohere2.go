package arch

import "fmt"

// cohere2Config is config.json of Hugging Face's Cohere2ForCausalLM.
type cohere2Config struct {
	decoderConfig
	windowConfig
	Act        string  `json:"hidden_act"`
	NormEps    float64 `json:"layer_norm_eps"`
	LogitScale float64 `json:"logit_scale"`
	AttnBias   bool    `json:"attention_bias"`
	Pattern    *int    `json:"sliding_window_pattern"` // every so manieth block has no window; read without layer_types
}

// cohere2Harmless describe what every Cohere 2 is.
const cohere2Harmless = `layer_switch order_of_interleaved_layers position_embedding_type use_embedding_sharing use_gated_activation use_parallel_block
	use_parallel_embedding _sliding_window_pattern`

// designCohere2 computes attention and MLP side by side, of one LayerNorm without a bias. Blocks without a window do not
// turn; in the others, neighbouring channels do.
func designCohere2(text Config, _ func(string) bool) (design, error) {
	window, pattern := 4096, 4
	c := cohere2Config{Act: "silu", NormEps: 1e-5, LogitScale: 0.0625, Pattern: &pattern, windowConfig: windowConfig{Window: &window},
		decoderConfig: decoderConfig{Vocab: 256000, Hidden: 8192, Inner: 22528, Layers: 40, Heads: 64, Positions: 8192, Tied: true}}
	if err := parse(text, &c, cohere2Harmless); err != nil {
		return design{}, err
	}
	if or(c.HeadWidth, ratio(c.Hidden, c.Heads)) != ratio(c.Hidden, c.Heads) || or(c.Pattern, 0) < 1 || !(c.LogitScale > 0) {
		return design{}, fmt.Errorf("%w: config.json: head_dim %d (it is hidden_size / num_attention_heads), sliding_window_pattern %d or logit_scale %g",
			ErrUnsupported, or(c.HeadWidth, 0), or(c.Pattern, 0), c.LogitScale)
	}
	c.HeadWidth = nil
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return d, err
	}
	d.norm, d.parallel, d.logitScale = normKind{eps: c.NormEps}, true, c.LogitScale
	d.biases(c.AttnBias, c.AttnBias, false)
	if err := c.windows(&d, func(i int) bool { return (i+1)%*c.Pattern != 0 }); err != nil {
		return d, err
	}
	for i := range d.layers {
		a := &d.layers[i].attention
		a.rotary.AdjacentPairs()
		if a.scores.Window == 0 {
			a.rotary = nil
		}
	}
	return d, nil
}
