package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/shard/tap"
)

// falconConfig is config.json of Hugging Face's FalconForCausalLM.
type falconConfig struct {
	Vocab      int     `json:"vocab_size"`
	Hidden     int     `json:"hidden_size"`
	Inner      *int    `json:"ffn_hidden_size"` // null: 4 · hidden_size
	Layers     int     `json:"num_hidden_layers"`
	Heads      int     `json:"num_attention_heads"`
	KVHeads    *int    `json:"num_kv_heads"`
	Positions  int     `json:"max_position_embeddings"`
	Act        string  `json:"activation"`
	Eps        float64 `json:"layer_norm_epsilon"`
	Tied       bool    `json:"tie_word_embeddings"`
	Alibi      bool    `json:"alibi"`
	New        bool    `json:"new_decoder_architecture"` // Falcon 40B and later
	MultiQuery bool    `json:"multi_query"`              // read where New is false
	Parallel   bool    `json:"parallel_attn"`
	Norms      *int    `json:"num_ln_in_parallel_attn"` // null: 2 where New is true
	Bias       bool    `json:"bias"`
	rotaryConfig
}

// keyHeads is the number of key heads: a setting of the newer architecture; one, or as many as heads, in the older.
func (c falconConfig) keyHeads() int {
	switch {
	case c.New:
		return or(c.KVHeads, c.Heads)
	case c.MultiQuery:
		return 1
	}
	return c.Heads
}

// derived are keys of other families that this one's sizes decide.
func (c *falconConfig) derived() map[string]int {
	return map[string]int{"head_dim": ratio(c.Hidden, c.Heads), "num_key_value_heads": c.keyHeads(), "n_embed": c.Hidden, "n_layer": c.Layers, "n_head": c.Heads}
}

// designFalcon is three forms of a block: side by side with one norm (7B) or two (40B), or one after the other (RW), and
// turns or has ALiBi.
func designFalcon(text Config, _ func(string) bool) (d design, err error) {
	c := falconConfig{Vocab: 65024, Hidden: 4544, Layers: 32, Heads: 71, Positions: 2048, Act: "gelu", Eps: 1e-5, Tied: true, MultiQuery: true, Parallel: true}
	if err := parse(text, &c, ""); err != nil {
		return d, err
	}
	if err := c.check(); err != nil {
		return d, err
	}
	width := c.Hidden / c.Heads
	b := blockDesign{mlp: mlpDesign{inner: or(c.Inner, 4*c.Hidden)}, attention: attentionDesign{
		heads: layer.Heads{Query: c.Heads, KeyValue: c.keyHeads(), Width: width}, scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width))}}}
	if b.mlp.act, err = activation(c.Act); err != nil {
		return d, err
	}
	if c.Alibi {
		b.attention.scores.Alibi = layer.NewAlibi(c.Heads).Rounded(b.attention.scores.Scale)
	} else if b.attention.rotary, err = c.rotary(ropeDefaults{theta: 10000, partial: 1, width: width, positions: c.Positions}); err != nil {
		return d, err
	}
	d = design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.reach(c.Positions)},
		names: c.names(), norm: normKind{eps: c.Eps, bias: true}, parallel: c.Parallel, tied: c.Tied, layers: uniform(c.Layers, b)}
	d.biases(c.Bias, c.Bias, c.Bias)
	return d, nil
}

func (c falconConfig) check() error {
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "ffn_hidden_size": or(c.Inner, 4*c.Hidden), "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_kv_heads": or(c.KVHeads, c.Heads), "max_position_embeddings": c.Positions})
	if err != nil {
		return err
	}
	if c.New && !c.Parallel || or(c.Norms, 1) != 1 && !(c.New && *c.Norms == 2) {
		return fmt.Errorf("%w: config.json: new_decoder_architecture %t, parallel_attn %t and num_ln_in_parallel_attn %d make no Falcon",
			ErrUnsupported, c.New, c.Parallel, or(c.Norms, 0))
	}
	return checkHeads([3]string{"hidden_size", "num_attention_heads", "num_kv_heads"}, c.Hidden, c.Heads, c.keyHeads())
}

// falconBuffer is a table that files of older code carry along.
func falconBuffer(name string) bool {
	return strings.HasSuffix(name, ".self_attention.rotary_emb.inv_freq") || strings.HasSuffix(name, ".self_attention.maybe_rotary.inv_freq")
}

// names are the family's, with the norms that this form has.
func (c falconConfig) names() tap.Modules {
	m, _ := tap.ModulesOf("falcon")
	switch {
	case c.New && or(c.Norms, 2) == 2:
		m.AttnNorm, m.MLPNorm = "ln_attn", "ln_mlp"
	case c.Parallel:
		m.MLPNorm = ""
	}
	return m
}
