package arch

import (
	"fmt"
	"math"
)

// gemmaConfig is what config.json of all Gemmas shares.
type gemmaConfig struct {
	decoderConfig
	AttnBias bool `json:"attention_bias"`
}

func gemmaDefaults(hidden, inner, layers, heads, kv, vocab, positions int) gemmaConfig {
	width := 256
	return gemmaConfig{decoderConfig: decoderConfig{Vocab: vocab, Hidden: hidden, Inner: inner, Layers: layers, Heads: heads,
		KVHeads: &kv, HeadWidth: &width, Positions: positions, Eps: 1e-6, Tied: true}}
}

// design is Llama's, with norms whose files hold w − 1 and an embedding scaled by √hidden.
func (c gemmaConfig) design(act string, theta float64) (design, error) {
	d, err := c.decoderConfig.design(act, theta)
	d.norm.offset, d.embedScale = 1, math.Sqrt(float64(c.Hidden))
	d.biases(c.AttnBias, c.AttnBias, false)
	return d, err
}

// queryScale puts scalar^−½ on the scores.
func queryScale(d *design, scalar float64) error {
	if !(scalar > 0) {
		return fmt.Errorf("%w: config.json: query_pre_attn_scalar is %g", ErrUnsupported, scalar)
	}
	for i := range d.layers {
		d.layers[i].attention.scores.Scale = 1 / math.Sqrt(scalar)
	}
	return nil
}

// softcap reads a cap, where null is none.
func softcap(name string, v *float64) (float64, error) {
	if v != nil && !(*v > 0) {
		return 0, fmt.Errorf("%w: config.json: %s is %g", ErrUnsupported, name, *v)
	}
	return or(v, 0), nil
}

// designGemma is Gemma 1. Its hidden_act "gelu" means the tanh approximation, and its hidden_activation
// was never read.
func designGemma(text Config, _ func(string) bool) (design, error) {
	var c struct {
		gemmaConfig
		Act string `json:"hidden_act"`
	}
	c.gemmaConfig, c.Act = gemmaDefaults(3072, 24576, 28, 16, 16, 256000, 8192), "gelu_pytorch_tanh"
	if err := parse(text, &c, "hidden_activation"); err != nil {
		return design{}, err
	}
	if c.Act == "gelu" {
		c.Act = "gelu_pytorch_tanh"
	}
	return c.design(c.Act, 10000)
}
