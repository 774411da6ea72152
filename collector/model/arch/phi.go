package arch

import (
	"fmt"
	"math"

	"actfleet/collector/model/layer"
)

// phiConfig is config.json of Hugging Face's PhiForCausalLM.
type phiConfig struct {
	Vocab     int      `json:"vocab_size"`
	Hidden    int      `json:"hidden_size"`
	Inner     int      `json:"intermediate_size"`
	Layers    int      `json:"num_hidden_layers"`
	Heads     int      `json:"num_attention_heads"`
	KVHeads   *int     `json:"num_key_value_heads"`
	Positions int      `json:"max_position_embeddings"`
	Act       string   `json:"hidden_act"`
	Eps       float64  `json:"layer_norm_eps"`
	QKNorm    bool     `json:"qk_layernorm"`
	Tied      bool     `json:"tie_word_embeddings"`
	Partial   *float64 `json:"partial_rotary_factor"`
	rotaryConfig
	rotated int // channels of a head that turn, where the config gives no fraction; 0 otherwise
}

// derived are keys of other families that this one's sizes decide.
func (c *phiConfig) derived() map[string]int {
	return map[string]int{"head_dim": ratio(c.Hidden, c.Heads)}
}

// parsePhi fills in Hugging Face's defaults and refuses what this file does not compute.
func parsePhi(text Config) (phiConfig, error) {
	c := phiConfig{Vocab: 51200, Hidden: 2048, Inner: 8192, Layers: 24, Heads: 32, Positions: 2048, Act: "gelu_new", Eps: 1e-5}
	if err := parse(text, &c, ""); err != nil {
		return c, err
	}
	return c, c.check()
}

func (c phiConfig) check() error {
	kv := or(c.KVHeads, c.Heads)
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": kv, "max_position_embeddings": c.Positions})
	if err != nil {
		return err
	}
	return checkHeads([3]string{"hidden_size", "num_attention_heads", "num_key_value_heads"}, c.Hidden, c.Heads, kv)
}

func (c phiConfig) heads() layer.Heads {
	return layer.Heads{Query: c.Heads, KeyValue: or(c.KVHeads, c.Heads), Width: c.Hidden / c.Heads}
}

// rope reads the rotation; an odd number of channels crashes in Hugging Face's Phi.
func (c phiConfig) rope() (*layer.Rotary, error) {
	width := c.Hidden / c.Heads
	if c.rotated > 0 && c.rotated%2 == 0 {
		return layer.NewRotary(layer.Frequencies(c.rotated, 10000), 1), nil
	}
	p, err := c.parameters()
	if err != nil {
		return nil, err
	}
	partial := or(p.Partial, or(c.Partial, 0.5))
	if dims := int(float64(width) * partial); c.rotated > 0 || dims%2 != 0 {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor %g turns %d of %d channels of a head; an even number is needed", ErrUnsupported, partial, max(c.rotated, dims), width)
	}
	return c.rotary(ropeDefaults{theta: 10000, partial: partial, width: width, positions: c.Positions})
}

// designPhi is x + attn(ln x) + mlp(ln x): one norm per block, attention and MLP side by side, with biases everywhere.
func designPhi(text Config, _ func(string) bool) (design, error) {
	c, err := parsePhi(text)
	if err != nil {
		return design{}, err
	}
	return c.design()
}

func (c phiConfig) design() (d design, err error) {
	heads := c.heads()
	b := blockDesign{mlp: mlpDesign{inner: c.Inner}, attention: attentionDesign{heads: heads, scores: layer.Scores{Scale: 1 / math.Sqrt(float64(heads.Width))}}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return d, err
	}
	if b.attention.rotary, err = c.rope(); err != nil {
		return d, err
	}
	d = design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.reach(c.Positions)},
		norm: normKind{eps: c.Eps, bias: true}, parallel: true, tied: c.Tied, headBias: true, layers: uniform(c.Layers, b)}
	d.biases(true, true, true)
	if c.QKNorm {
		d.normHeads()
	}
	return d, nil
}
