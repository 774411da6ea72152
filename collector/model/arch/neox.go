package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
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

// neox is x + attn(ln1 x) + mlp(ln2 x), or the same one after the other.
type neox struct {
	stack
	cfg    neoxConfig
	rotary *layer.Rotary
}

var familyNeoX = family{loadNeoX, neoxBuffer, "gpt_neox.", "embed_in.weight"}

func loadNeoX(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	c, err := parseNeoX(text)
	if err != nil {
		return nil, err
	}
	m := &neox{cfg: c}
	m.shape, m.inner = Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions}, c.Inner
	m.heads = layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: c.Hidden / c.Heads}
	if m.act, err = activation(c.Act); err != nil {
		return nil, err
	}
	if m.rotary, err = c.rope(m.heads.Width); err != nil {
		return nil, err
	}
	names := stackNames{vocabulary: vocabulary{embed: "gpt_neox.embed_in", head: "embed_out", tied: c.Tied},
		block: func(i int) string { return fmt.Sprintf("gpt_neox.layers.%d.", i) }, norm: "gpt_neox.final_layer_norm", eps: c.Eps}
	return m, m.load(s, src, names, func(src *layer.Source, at string) (stackBlock, error) { return m.loadBlock(s, src, at) })
}

func (m *neox) loadBlock(s *torch.Scope, src *layer.Source, at string) (b stackBlock, err error) {
	c := m.cfg
	if b.norm, err = layer.LoadLayerNorm(s, src, at+"input_layernorm", c.Hidden, c.Eps); err != nil {
		return b, err
	}
	if b.mlpNorm, err = layer.LoadLayerNorm(s, src, at+"post_attention_layernorm", c.Hidden, c.Eps); err != nil {
		return b, err
	}
	if b.qkv, err = layer.LoadLinear(s, src, at+"attention.query_key_value", c.Hidden, 3*c.Hidden, c.AttnBias); err != nil {
		return b, err
	}
	b.qkv = b.qkv.Rearranged(s, c.Heads, 3) // the file has q, k, v head by head
	if b.out, err = layer.LoadLinear(s, src, at+"attention.dense", c.Hidden, c.Hidden, c.AttnBias); err != nil {
		return b, err
	}
	if b.fc1, err = layer.LoadLinear(s, src, at+"mlp.dense_h_to_4h", c.Hidden, c.Inner, true); err != nil {
		return b, err
	}
	b.fc2, err = layer.LoadLinear(s, src, at+"mlp.dense_4h_to_h", c.Inner, c.Hidden, true)
	return b, err
}

// neoxBuffer says which tensors of a file are no weights.
func neoxBuffer(name string) bool {
	return strings.HasSuffix(name, ".attention.bias") || strings.HasSuffix(name, ".attention.masked_bias") || strings.HasSuffix(name, ".rotary_emb.inv_freq")
}

func (m *neox) Embed(s *torch.Scope, ids *torch.Tensor, _ int) *torch.Tensor {
	return s.Embedding(m.embed, ids)
}

func (m *neox) Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b := m.blocks[i]
	scores := layer.Scores{Scale: 1 / math.Sqrt(float64(m.heads.Width))}
	attn := b.attention.forward(s, b.norm.Forward(s, x), m.heads, scores, c, applyRotary(s, m.rotary, c), emit)
	if m.cfg.Parallel {
		mlp := b.mlp.forward(s, b.mlpNorm.Forward(s, x), m.act, emit)
		return s.Add(s.Add(mlp, attn), x)
	}
	x = s.Add(attn, x)
	return s.Add(b.mlp.forward(s, b.mlpNorm.Forward(s, x), m.act, emit), x)
}
