package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
)

// neoxConfig is config.json of Hugging Face's GPTNeoXForCausalLM, Pythia's class.
type neoxConfig struct {
	Vocab     int      `json:"vocab_size"`
	Hidden    int      `json:"hidden_size"`
	Inner     int      `json:"intermediate_size"`
	Layers    int      `json:"num_hidden_layers"`
	Heads     int      `json:"num_attention_heads"`
	Positions int      `json:"max_position_embeddings"`
	Act       string   `json:"hidden_act"`
	Eps       float64  `json:"layer_norm_eps"`
	Tied      bool     `json:"tie_word_embeddings"`
	Parallel  bool     `json:"use_parallel_residual"`
	AttnBias  bool     `json:"attention_bias"`
	Fraction  *float64 `json:"rotary_pct"`
	Base      *float64 `json:"rotary_emb_base"`
	Partial   *float64 `json:"partial_rotary_factor"` // rotary_pct again, in some files
	rotaryConfig
}

// derived are keys of other families that this one's sizes decide.
func (c *neoxConfig) derived() map[string]int {
	return map[string]int{"head_dim": ratio(c.Hidden, c.Heads), "num_key_value_heads": c.Heads}
}

func parseNeoX(text Config) (neoxConfig, error) {
	c := neoxConfig{Vocab: 50432, Hidden: 6144, Inner: 24576, Layers: 44, Heads: 64, Positions: 2048, Act: "gelu", Eps: 1e-5, Parallel: true, AttnBias: true}
	if err := parse(text, &c, ""); err != nil {
		return c, err
	}
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "max_position_embeddings": c.Positions})
	if err == nil && c.Hidden%c.Heads != 0 {
		err = fmt.Errorf("%w: config.json: hidden_size %d is not a multiple of num_attention_heads %d", ErrUnsupported, c.Hidden, c.Heads)
	}
	return c, err
}

// rope reads the rotation: the keys of older files may stand beside the newer ones, but not contradict them.
func (c neoxConfig) rope(width int) (*layer.Rotary, error) {
	base, fraction := or(c.Base, 10000), or(c.Fraction, 0.25)
	if or(c.Theta, base) != base {
		return nil, fmt.Errorf("%w: config.json: rope_theta %g is not rotary_emb_base %g", ErrUnsupported, *c.Theta, base)
	}
	if or(c.Partial, fraction) != fraction {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor %g is not rotary_pct %g", ErrUnsupported, *c.Partial, fraction)
	}
	return c.rotary(ropeDefaults{theta: base, partial: fraction, width: width, positions: c.Positions})
}

// designNeoX is x + attn(ln1 x) + mlp(ln2 x), or the same one after the other. Its files have q, k and v head by head.
func designNeoX(text Config, _ func(string) bool) (design, error) {
	c, err := parseNeoX(text)
	if err != nil {
		return design{}, err
	}
	width := c.Hidden / c.Heads
	b := blockDesign{mlp: mlpDesign{inner: c.Inner}, attention: attentionDesign{heads: layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: width},
		scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width))}}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return design{}, err
	}
	if b.attention.rotary, err = c.rope(width); err != nil {
		return design{}, err
	}
	d := design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.reach(c.Positions)},
		norm: normKind{eps: c.Eps, bias: true}, parallel: c.Parallel, tied: c.Tied, layers: uniform(c.Layers, b)}
	d.biases(c.AttnBias, c.AttnBias, true)
	return d, nil
}

// neoxBuffer says which tensors of a file are no weights.
func neoxBuffer(name string) bool {
	return strings.HasSuffix(name, ".attention.bias") || strings.HasSuffix(name, ".attention.masked_bias") || strings.HasSuffix(name, ".rotary_emb.inv_freq")
}
