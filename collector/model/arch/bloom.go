package arch

import (
	"fmt"
	"math"

	"actfleet/collector/model/layer"
)

// bloomConfig is config.json of Hugging Face's BloomForCausalLM.
type bloomConfig struct {
	Vocab    int     `json:"vocab_size"`
	Hidden   int     `json:"hidden_size"`
	OldName  *int    `json:"n_embed"` // hidden_size, in older files
	Layers   int     `json:"n_layer"`
	Heads    int     `json:"n_head"`
	Eps      float64 `json:"layer_norm_epsilon"`
	Tied     bool    `json:"tie_word_embeddings"`
	FromNorm bool    `json:"apply_residual_connection_post_layernorm"`
}

// bloomHarmless are about the training, whose prompts ALiBi goes beyond, and the order of operations in 16 bits.
const bloomHarmless = `attention_softmax_in_fp32 bias_dropout_fusion masked_softmax_fusion offset_alibi seq_length skip_bias_add skip_bias_add_qkv slow_but_exact`

// bloomPositions is how long a prompt may be: nothing in the model bounds it.
const bloomPositions = 1 << 17

// derived are keys of other families that this one's sizes decide.
func (c *bloomConfig) derived() map[string]int {
	hidden := or(c.OldName, c.Hidden)
	return map[string]int{"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": c.Heads, "head_dim": ratio(hidden, c.Heads),
		"n_inner": 4 * hidden, "intermediate_size": 4 * hidden}
}

// designBloom norms the embedding, and has ALiBi for positions.
func designBloom(text Config, _ func(string) bool) (design, error) {
	c := bloomConfig{Vocab: 250880, Hidden: 64, Layers: 2, Heads: 8, Eps: 1e-5, Tied: true}
	if err := parse(text, &c, bloomHarmless); err != nil {
		return design{}, err
	}
	c.Hidden = or(c.OldName, c.Hidden)
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "n_layer": c.Layers, "n_head": c.Heads})
	if err == nil {
		err = checkHeads([3]string{"hidden_size", "n_head", ""}, c.Hidden, c.Heads, c.Heads)
	}
	if err != nil {
		return design{}, err
	}
	if c.FromNorm {
		return design{}, fmt.Errorf("%w: config.json: apply_residual_connection_post_layernorm is true: sums with normed states are not computed here", ErrUnsupported)
	}
	width := c.Hidden / c.Heads
	b := blockDesign{mlp: mlpDesign{inner: 4 * c.Hidden, act: layer.GeluTanh}, attention: attentionDesign{
		heads:  layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: width},
		scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width)), Alibi: layer.NewAlibi(c.Heads)}}}
	d := design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: bloomPositions},
		norm: normKind{eps: c.Eps, bias: true}, tied: c.Tied, layers: uniform(c.Layers, b)}
	d.biases(true, true, true)
	return d, nil
}
