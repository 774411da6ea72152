package arch

import (
	"fmt"
	"math"

	"actfleet/collector/model/layer"
)

// decoderConfig is the part of config.json that Llama and its successors share.
type decoderConfig struct {
	Vocab     int     `json:"vocab_size"`
	Hidden    int     `json:"hidden_size"`
	Inner     int     `json:"intermediate_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	KVHeads   *int    `json:"num_key_value_heads"` // null: as many as heads
	HeadWidth *int    `json:"head_dim"`            // null: hidden_size / num_attention_heads
	Positions int     `json:"max_position_embeddings"`
	Eps       float64 `json:"rms_norm_eps"`
	Tied      bool    `json:"tie_word_embeddings"`
	rotaryConfig
}

// windowConfig is the part of families that give a window to some of their blocks.
type windowConfig struct {
	Window     *int     `json:"sliding_window"`
	LayerTypes []string `json:"layer_types"`
}

// design checks the sizes and derives the heads: RMSNorms before attention and MLP, no biases; every block has full
// attention and the rotation of the config with base theta where it names none.
func (c decoderConfig) design(act string, theta float64) (d design, err error) {
	kv := or(c.KVHeads, c.Heads)
	sizes := map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": kv, "max_position_embeddings": c.Positions}
	if err = checkSizes(sizes); err != nil {
		return d, err
	}
	hidden := c.Hidden
	if c.HeadWidth != nil { // then heads need not divide it
		hidden = 0
	}
	if err = checkHeads([3]string{"hidden_size", "num_attention_heads", "num_key_value_heads"}, hidden, c.Heads, kv); err != nil {
		return d, err
	}
	width := or(c.HeadWidth, c.Hidden/c.Heads)
	if err = checkSizes(map[string]int{"head_dim": width}); err != nil {
		return d, err
	}
	heads := layer.Heads{Query: c.Heads, KeyValue: kv, Width: width}
	b := blockDesign{attention: attentionDesign{heads: heads, scores: layer.Scores{Scale: 1 / math.Sqrt(float64(width))}}, mlp: mlpDesign{inner: c.Inner}}
	if b.mlp.act, err = activation(act); err != nil {
		return d, err
	}
	if b.attention.rotary, err = c.wholeHeads(width, theta); err != nil {
		return d, err
	}
	return design{shape: Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.reach(c.Positions)},
		norm: normKind{rms: true, eps: c.Eps}, tied: c.Tied, layers: uniform(c.Layers, b)}, nil
}

// unturned is design without a rotation, and what the config says of it: for families that turn heads in another way.
func (c decoderConfig) unturned(act string) (design, rotaryConfig, error) {
	rope := c.rotaryConfig
	c.rotaryConfig = rotaryConfig{}
	d, err := c.design(act, 10000)
	return d, rope, err
}

func activation(name string) (layer.Activation, error) {
	act, err := layer.ParseActivation(name)
	if err != nil {
		return act, fmt.Errorf("%w: config.json: activation: %w", ErrUnsupported, err)
	}
	return act, nil
}

// wholeHeads is the rotation of all channels of a head.
func (c decoderConfig) wholeHeads(width int, theta float64) (*layer.Rotary, error) {
	rope, err := c.rotary(ropeDefaults{theta: theta, partial: 1, width: width, positions: c.Positions})
	if err != nil {
		return nil, err
	}
	if rope.Dims() != width {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor turns %d of %d channels of a head; this family turns all", ErrUnsupported, rope.Dims(), width)
	}
	return rope, nil
}

// biases sets those of every block's projections to q, k and v, from the heads, and of the MLP.
func (d *design) biases(qkv, out, mlp bool) {
	for i := range d.layers {
		b := &d.layers[i]
		b.attention.qkvBias, b.attention.outBias, b.mlp.bias = qkv, out, mlp
	}
}

// windows gives each block its window; sliding says which blocks have one where layer_types does not.
func (c windowConfig) windows(d *design, sliding func(i int) bool) error {
	if c.LayerTypes != nil && len(c.LayerTypes) != d.shape.Layers {
		return fmt.Errorf("%w: config.json: layer_types has %d entries, num_hidden_layers is %d", ErrUnsupported, len(c.LayerTypes), d.shape.Layers)
	}
	for i := range d.shape.Layers {
		slides, err := c.slides(i, sliding)
		if err != nil {
			return err
		}
		if !slides {
			continue
		}
		if c.Window == nil || *c.Window < 1 {
			return fmt.Errorf("%w: config.json: layer %d is sliding_attention, sliding_window gives no positive width", ErrUnsupported, i)
		}
		d.layers[i].attention.scores.Window = *c.Window
	}
	return nil
}

func (c windowConfig) slides(i int, otherwise func(i int) bool) (bool, error) {
	if c.LayerTypes == nil {
		return otherwise(i), nil
	}
	switch c.LayerTypes[i] {
	case "sliding_attention":
		return true, nil
	case "full_attention":
		return false, nil
	}
	return false, fmt.Errorf("%w: config.json: layer_types[%d] is %q", ErrUnsupported, i, c.LayerTypes[i])
}
