package arch

import (
	"fmt"
	"math"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
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

// gpt2 has learned positions and, one after the other, attention and MLP.
type gpt2 struct {
	stack
	cfg       gpt2Config
	positions *torch.Tensor // [Positions, Hidden]
}

var familyGPT2 = family{loadGPT2, gpt2Buffer, "transformer.", "wte.weight"}

func loadGPT2(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	c, err := parseGPT2(text)
	if err != nil {
		return nil, err
	}
	m := &gpt2{cfg: c}
	m.shape, m.inner = Shape{Layers: c.Layers, Hidden: c.Hidden, Vocab: c.Vocab, MaxPositions: c.Positions}, c.inner()
	m.heads = layer.Heads{Query: c.Heads, KeyValue: c.Heads, Width: c.Hidden / c.Heads}
	if m.act, err = activation(c.Act); err != nil {
		return nil, err
	}
	return m, m.load(s, src)
}

func (m *gpt2) load(s *torch.Scope, src *layer.Source) (err error) {
	if m.positions, err = src.Tensor(s, "transformer.wpe.weight", m.cfg.Positions, m.cfg.Hidden); err != nil {
		return err
	}
	names := stackNames{vocabulary: vocabulary{embed: "transformer.wte", head: "lm_head", tied: m.cfg.Tied},
		block: func(i int) string { return fmt.Sprintf("transformer.h.%d.", i) }, norm: "transformer.ln_f", eps: m.cfg.Eps}
	return m.stack.load(s, src, names, func(src *layer.Source, at string) (stackBlock, error) { return m.loadBlock(s, src, at) })
}

func (m *gpt2) loadBlock(s *torch.Scope, src *layer.Source, at string) (b stackBlock, err error) {
	c := m.cfg
	if b.norm, err = layer.LoadLayerNorm(s, src, at+"ln_1", c.Hidden, c.Eps); err != nil {
		return b, err
	}
	if b.qkv, err = layer.LoadConv1D(s, src, at+"attn.c_attn", c.Hidden, 3*c.Hidden); err != nil {
		return b, err
	}
	if b.out, err = layer.LoadConv1D(s, src, at+"attn.c_proj", c.Hidden, c.Hidden); err != nil {
		return b, err
	}
	if b.mlpNorm, err = layer.LoadLayerNorm(s, src, at+"ln_2", c.Hidden, c.Eps); err != nil {
		return b, err
	}
	if b.fc1, err = layer.LoadConv1D(s, src, at+"mlp.c_fc", c.Hidden, c.inner()); err != nil {
		return b, err
	}
	b.fc2, err = layer.LoadConv1D(s, src, at+"mlp.c_proj", c.inner(), c.Hidden)
	return b, err
}

// gpt2Buffer says which tensors of a file are no weights: causal masks.
func gpt2Buffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}

func (m *gpt2) Embed(s *torch.Scope, ids *torch.Tensor, before int) *torch.Tensor {
	return s.Add(s.Embedding(m.embed, ids), s.Narrow(m.positions, 0, int64(before), ids.Shape()[1]))
}

func (m *gpt2) Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b := m.blocks[i]
	attn := b.attention.forward(s, b.norm.Forward(s, x), m.heads, layer.Scores{Scale: m.scale(i)}, c, nil, emit)
	x = s.Add(attn, x)
	return s.Add(x, b.mlp.forward(s, b.mlpNorm.Forward(s, x), m.act, emit))
}

// scale is the factor on the scores of block i.
func (m *gpt2) scale(i int) float64 {
	scale := 1.0
	if m.cfg.Scale {
		scale = 1 / math.Sqrt(float64(m.heads.Width))
	}
	if m.cfg.InverseLayer {
		scale /= float64(i + 1)
	}
	return scale
}
