package arch

import (
	"fmt"
	"math"

	"actfleet/collector/model/layer"
	"actfleet/shard/tap"
)

// optConfig is config.json of Hugging Face's OPTForCausalLM.
type optConfig struct {
	Vocab     int    `json:"vocab_size"`
	Hidden    int    `json:"hidden_size"`
	Inner     int    `json:"ffn_dim"`
	Layers    int    `json:"num_hidden_layers"`
	Heads     int    `json:"num_attention_heads"`
	Positions int    `json:"max_position_embeddings"`
	Act       string `json:"activation_function"`
	Bias      bool   `json:"enable_bias"`
	Affine    bool   `json:"layer_norm_elementwise_affine"`
	Before    bool   `json:"do_layer_norm_before"`
	NoLast    bool   `json:"_remove_final_layer_norm"`
	Tied      bool   `json:"tie_word_embeddings"`
	Narrow    *int   `json:"word_embed_proj_dim"` // null: hidden_size
}

// optOffset is the number of rows of the positions' matrix that no position has.
const optOffset = 2

// designOPT has learned positions and LayerNorms whose epsilon is always 1e-5.
func designOPT(text Config, _ func(string) bool) (design, error) {
	c := optConfig{Vocab: 50272, Hidden: 768, Inner: 3072, Layers: 12, Heads: 12, Positions: 2048, Act: "relu", Bias: true, Affine: true, Before: true, Tied: true}
	if err := parse(text, &c, "init_std layerdrop dropout"); err != nil {
		return design{}, err
	}
	if err := c.check(); err != nil {
		return design{}, err
	}
	width := c.Hidden / c.Heads
	b := blockDesign{mlp: mlpDesign{inner: c.Inner}, attention: attentionDesign{
		heads: layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: width}, scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width))}}}
	var err error
	if b.mlp.act, err = activation(c.Act); err != nil {
		return design{}, err
	}
	d := design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions},
		positionsOffset: optOffset, norm: normKind{eps: 1e-5, bias: true, plain: !c.Affine}, tied: c.Tied, layers: uniform(c.Layers, b)}
	d.biases(c.Bias, c.Bias, c.Bias)
	if d.names, _ = tap.ModulesOf("opt"); c.NoLast {
		d.names.Norm = ""
	}
	return d, nil
}

func (c optConfig) check() error {
	err := checkSizes(map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "ffn_dim": c.Inner, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "max_position_embeddings": c.Positions})
	if err == nil {
		err = checkHeads([3]string{"hidden_size", "num_attention_heads", ""}, c.Hidden, c.Heads, c.Heads)
	}
	switch {
	case err != nil:
		return err
	case !c.Before:
		return fmt.Errorf("%w: config.json: do_layer_norm_before is false: norms after the sums (opt-350m) are not computed here", ErrUnsupported)
	case or(c.Narrow, c.Hidden) != c.Hidden:
		return fmt.Errorf("%w: config.json: word_embed_proj_dim is %d, hidden_size %d: a narrower embedding (opt-350m) is not computed here", ErrUnsupported, *c.Narrow, c.Hidden)
	}
	return nil
}

// derived are keys of other families that this one's sizes decide.
func (c *optConfig) derived() map[string]int {
	return map[string]int{"head_dim": ratio(c.Hidden, c.Heads), "num_key_value_heads": c.Heads, "intermediate_size": c.Inner}
}
