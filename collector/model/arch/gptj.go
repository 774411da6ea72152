package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
)

// gptjConfig is config.json of Hugging Face's GPTJForCausalLM.
type gptjConfig struct {
	Vocab     int     `json:"vocab_size"`
	Positions int     `json:"n_positions"`
	Hidden    int     `json:"n_embd"`
	Layers    int     `json:"n_layer"`
	Heads     int     `json:"n_head"`
	Inner     *int    `json:"n_inner"` // null: 4 · n_embd
	Rotary    *int    `json:"rotary_dim"`
	Act       string  `json:"activation_function"`
	Eps       float64 `json:"layer_norm_epsilon"`
	Tied      bool    `json:"tie_word_embeddings"`
	Turns     bool    `json:"rotary"`
}

// derived are keys of other families that this one's sizes decide.
func (c *gptjConfig) derived() map[string]int {
	return map[string]int{"hidden_size": c.Hidden, "num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": c.Heads,
		"max_position_embeddings": c.Positions, "head_dim": ratio(c.Hidden, c.Heads), "intermediate_size": or(c.Inner, 4*c.Hidden)}
}

// designGPTJ is x + attn(ln x) + mlp(ln x), with neighbouring channels that turn, and no biases in attention.
func designGPTJ(text Config, _ func(string) bool) (d design, err error) {
	rotary := 64
	c := gptjConfig{Vocab: 50400, Positions: 2048, Hidden: 4096, Layers: 28, Heads: 16, Rotary: &rotary, Act: "gelu_new", Eps: 1e-5, Turns: true}
	if err := parse(text, &c, gpt2Harmless); err != nil {
		return d, err
	}
	if err := c.check(); err != nil {
		return d, err
	}
	width := c.Hidden / c.Heads
	b := blockDesign{mlp: mlpDesign{inner: or(c.Inner, 4*c.Hidden)}, attention: attentionDesign{
		heads: layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: width}, scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width))},
		rotary: layer.NewRotary(layer.Frequencies(*c.Rotary, 10000), 1).AdjacentPairs()}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return d, err
	}
	d = design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions},
		norm: normKind{eps: c.Eps, bias: true}, parallel: true, tied: c.Tied, headBias: true, layers: uniform(c.Layers, b)}
	d.biases(false, false, true)
	return d, nil
}

func (c gptjConfig) check() error {
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "n_positions": c.Positions, "n_embd": c.Hidden, "n_layer": c.Layers, "n_head": c.Heads, "n_inner": or(c.Inner, 4*c.Hidden)})
	if err == nil {
		err = checkHeads([3]string{"n_embd", "n_head", ""}, c.Hidden, c.Heads, c.Heads)
	}
	if n := or(c.Rotary, 0); err == nil && (!c.Turns || n < 2 || n%2 != 0 || n > c.Hidden/c.Heads) {
		return fmt.Errorf("%w: config.json: rotary_dim is %d: an even number of at most %d channels must turn", ErrUnsupported, n, c.Hidden/c.Heads)
	}
	return err
}

// gptjBuffer says which tensors of a file are no weights: causal masks and a table of angles.
func gptjBuffer(name string) bool {
	return gpt2Buffer(name) || strings.HasSuffix(name, ".attn.embed_positions")
}
