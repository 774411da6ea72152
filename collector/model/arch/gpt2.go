package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
)

// gpt2Config is config.json of Hugging Face's GPT2LMHeadModel.
type gpt2Config struct {
	Vocab        int     `json:"vocab_size"`
	Positions    int     `json:"n_positions"`
	Hidden       int     `json:"n_embd"`
	Layers       int     `json:"n_layer"`
	Heads        int     `json:"n_head"`
	Inner        *int    `json:"n_inner"` // null: 4 · n_embd
	Act          string  `json:"activation_function"`
	Eps          float64 `json:"layer_norm_epsilon"`
	Scale        bool    `json:"scale_attn_weights"`
	InverseLayer bool    `json:"scale_attn_by_inverse_layer_idx"`
	Tied         bool    `json:"tie_word_embeddings"`
}

// gpt2Harmless are GPT-2's keys about other heads, training, and the order of operations in 16 bits.
const gpt2Harmless = `n_ctx summary_type summary_use_proj summary_activation summary_proj_to_labels
	summary_first_dropout reorder_and_upcast_attn n_special output_past predict_special_tokens`

// derived are keys of other families that this one's sizes decide.
func (c *gpt2Config) derived() map[string]int {
	return map[string]int{"hidden_size": c.Hidden, "num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": c.Heads,
		"max_position_embeddings": c.Positions, "head_dim": ratio(c.Hidden, c.Heads), "intermediate_size": c.inner()}
}

func parseGPT2(text Config) (gpt2Config, error) {
	c := gpt2Config{Vocab: 50257, Positions: 1024, Hidden: 768, Layers: 12, Heads: 12, Act: "gelu_new", Eps: 1e-5, Scale: true, Tied: true}
	if err := parse(text, &c, gpt2Harmless); err != nil {
		return c, err
	}
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "n_positions": c.Positions, "n_embd": c.Hidden, "n_layer": c.Layers, "n_head": c.Heads, "n_inner": c.inner()})
	if err == nil && c.Hidden%c.Heads != 0 {
		err = fmt.Errorf("%w: config.json: n_embd %d is not a multiple of n_head %d", ErrUnsupported, c.Hidden, c.Heads)
	}
	return c, err
}

func (c gpt2Config) inner() int { return or(c.Inner, 4*c.Hidden) }

// designGPT2 has learned positions, no rotation and, one after the other, attention and MLP.
func designGPT2(text Config, _ func(string) bool) (design, error) {
	c, err := parseGPT2(text)
	if err != nil {
		return design{}, err
	}
	b := blockDesign{mlp: mlpDesign{inner: c.inner()},
		attention: attentionDesign{heads: layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: c.Hidden / c.Heads}}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return design{}, err
	}
	d := design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions},
		conv1D: true, norm: normKind{eps: c.Eps, bias: true}, tied: c.Tied, layers: uniform(c.Layers, b)}
	for i := range d.layers {
		d.layers[i].attention.scores.Scale = c.scale(i)
	}
	d.biases(true, true, true)
	return d, nil
}

// scale is the factor on the scores of block i.
func (c gpt2Config) scale(i int) float64 {
	scale := 1.0
	if c.Scale {
		scale = 1 / math.Sqrt(float64(c.Hidden/c.Heads))
	}
	if c.InverseLayer {
		scale /= float64(i + 1)
	}
	return scale
}

// gpt2Buffer says which tensors of a file are no weights: causal masks.
func gpt2Buffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}
