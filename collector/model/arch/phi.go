package arch

import (
	"encoding/json"
	"fmt"

	"actfleet/collector/model/layer"
	"actfleet/collector/model/tap"
	"actfleet/internal/torch"
)

// phiConfig is config.json of Hugging Face's PhiForCausalLM.
type phiConfig struct {
	Vocab        int     `json:"vocab_size"`
	Hidden       int     `json:"hidden_size"`
	Inner        int     `json:"intermediate_size"`
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	KVHeads      *int    `json:"num_key_value_heads"`
	Positions    int     `json:"max_position_embeddings"`
	Act          string  `json:"hidden_act"`
	Eps          float64 `json:"layer_norm_eps"`
	QKNorm       bool    `json:"qk_layernorm"`
	Tied         bool    `json:"tie_word_embeddings"`
	Quantization any     `json:"quantization_config"`
	rotaryConfig
}

// parsePhi fills in Hugging Face's defaults and refuses what this file does not compute.
func parsePhi(text []byte) (phiConfig, error) {
	c := phiConfig{Vocab: 51200, Hidden: 2048, Inner: 8192, Layers: 24, Heads: 32, Positions: 2048, Act: "gelu_new", Eps: 1e-5}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("parse config.json: %w", err)
	}
	if c.KVHeads == nil {
		c.KVHeads = &c.Heads
	}
	if err := c.check(); err != nil {
		return c, err
	}
	return c, c.rotaryConfig.resolve(rotaryConfig{Theta: 10000, Partial: 0.5})
}

func (c phiConfig) check() error {
	for name, v := range map[string]int{"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": *c.KVHeads, "max_position_embeddings": c.Positions} {
		if v < 1 || v > 1<<22 {
			return fmt.Errorf("%w: config.json: %s is %d", ErrUnsupported, name, v)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0:
		return fmt.Errorf("%w: config.json: hidden_size %d is not a multiple of num_attention_heads %d", ErrUnsupported, c.Hidden, c.Heads)
	case c.Heads%*c.KVHeads != 0:
		return fmt.Errorf("%w: config.json: num_attention_heads %d is not a multiple of num_key_value_heads %d", ErrUnsupported, c.Heads, *c.KVHeads)
	case c.Quantization != nil:
		return fmt.Errorf("%w: config.json: quantization_config is set; convert the checkpoint to fp16 or fp32 first", ErrUnsupported)
	}
	return nil
}

func (c phiConfig) heads() layer.Heads {
	return layer.Heads{Query: c.Heads, KeyValue: *c.KVHeads, Width: c.Hidden / c.Heads}
}

// phi is x + attn(ln x) + mlp(ln x): one norm per block, attention and MLP side by side.
type phi struct {
	cfg    phiConfig
	act    layer.Activation
	heads  layer.Heads
	embed  *torch.Tensor // [Vocab, Hidden]
	rotary layer.Rotary
	blocks []phiBlock
	norm   layer.LayerNorm
	head   layer.Linear
}

type phiBlock struct {
	norm               layer.LayerNorm
	qkv, out, fc1, fc2 layer.Linear
	qNorm, kNorm       *layer.LayerNorm // over one head, before the rotation; nil without qk_layernorm
}

func loadPhi(s *torch.Scope, text []byte, src *layer.Source) (Network, error) {
	c, err := parsePhi(text)
	if err != nil {
		return nil, err
	}
	m := &phi{cfg: c, heads: c.heads()}
	if m.act, err = layer.ParseActivation(c.Act); err != nil {
		return nil, fmt.Errorf("%w: config.json: hidden_act: %w", ErrUnsupported, err)
	}
	dims := int(float64(m.heads.Width) * c.Partial)
	if dims%2 != 0 || dims < 2 || dims > m.heads.Width {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor %g turns %d of %d channels of a head; an even number is needed", ErrUnsupported, c.Partial, dims, m.heads.Width)
	}
	m.rotary = layer.NewRotary(s, dims, c.Positions, c.Theta)
	return m, m.load(s, src)
}

func (m *phi) load(s *torch.Scope, src *layer.Source) (err error) {
	c := m.cfg
	if m.embed, err = src.Tensor(s, "model.embed_tokens.weight", c.Vocab, c.Hidden); err != nil {
		return err
	}
	for i := range c.Layers {
		block, err := m.loadBlock(s, src, fmt.Sprintf("model.layers.%d.", i))
		if err != nil {
			return err
		}
		m.blocks = append(m.blocks, block)
	}
	if m.norm, err = layer.LoadLayerNorm(s, src, "model.final_layernorm", c.Hidden, c.Eps); err != nil {
		return err
	}
	return m.loadHead(s, src)
}

// loadHead reads the output matrix; a tied one is the embedding, with a bias of its own.
func (m *phi) loadHead(s *torch.Scope, src *layer.Source) (err error) {
	if m.cfg.Tied && !src.Has("lm_head.weight") {
		m.head.Weight = m.embed
		m.head.Bias, err = src.Tensor(s, "lm_head.bias", m.cfg.Vocab)
		return err
	}
	m.head, err = layer.LoadLinear(s, src, "lm_head", m.cfg.Hidden, m.cfg.Vocab, true)
	return err
}

func (m *phi) loadBlock(s *torch.Scope, src *layer.Source, at string) (b phiBlock, err error) {
	c, h := m.cfg, m.heads
	if b.norm, err = layer.LoadLayerNorm(s, src, at+"input_layernorm", c.Hidden, c.Eps); err != nil {
		return b, err
	}
	qkv := []string{at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"}
	if b.qkv, err = layer.LoadFused(s, src, qkv, c.Hidden, []int{h.QueryWidth(), h.KeyWidth(), h.KeyWidth()}, true); err != nil {
		return b, err
	}
	if b.out, err = layer.LoadLinear(s, src, at+"self_attn.dense", h.QueryWidth(), c.Hidden, true); err != nil {
		return b, err
	}
	if b.fc1, err = layer.LoadLinear(s, src, at+"mlp.fc1", c.Hidden, c.Inner, true); err != nil {
		return b, err
	}
	if b.fc2, err = layer.LoadLinear(s, src, at+"mlp.fc2", c.Inner, c.Hidden, true); err != nil {
		return b, err
	}
	if !c.QKNorm {
		return b, nil
	}
	return b, m.loadQKNorm(s, src, at, &b)
}

func (m *phi) loadQKNorm(s *torch.Scope, src *layer.Source, at string, b *phiBlock) error {
	q, err := layer.LoadLayerNorm(s, src, at+"self_attn.q_layernorm", m.heads.Width, m.cfg.Eps)
	if err != nil {
		return err
	}
	k, err := layer.LoadLayerNorm(s, src, at+"self_attn.k_layernorm", m.heads.Width, m.cfg.Eps)
	b.qNorm, b.kNorm = &q, &k
	return err
}

func (m *phi) Shape() Shape {
	return Shape{Layers: m.cfg.Layers, Hidden: m.cfg.Hidden, Vocab: m.cfg.Vocab, MaxPositions: m.cfg.Positions}
}

func (m *phi) Width(site tap.Site) int {
	switch site {
	case tap.Wqkv:
		return m.heads.FusedWidth()
	case tap.FC1:
		return m.cfg.Inner
	default:
		return m.cfg.Hidden
	}
}

func (m *phi) Embed(s *torch.Scope, ids *torch.Tensor) *torch.Tensor {
	return s.Embedding(m.embed, ids)
}

func (m *phi) Block(s *torch.Scope, i int, x *torch.Tensor, emit Emit) *torch.Tensor {
	b := m.blocks[i]
	h := b.norm.Forward(s, x)
	attn := m.attend(s, b, h, emit)
	inner := b.fc1.Forward(s, h)
	emit(tap.FC1, inner)
	mlp := b.fc2.Forward(s, m.act.Forward(s, inner))
	emit(tap.FC2, mlp)
	return s.Add(s.Add(attn, mlp), x)
}

func (m *phi) attend(s *torch.Scope, b phiBlock, h *torch.Tensor, emit Emit) *torch.Tensor {
	qkv := b.qkv.Forward(s, h)
	emit(tap.Wqkv, qkv)
	q, k, v := m.heads.Split(s, qkv)
	if b.qNorm != nil {
		q, k = b.qNorm.Forward(s, q), b.kNorm.Forward(s, k)
	}
	mixed := m.heads.Causal(s, m.rotary.Forward(s, q), m.rotary.Forward(s, k), v)
	out := b.out.Forward(s, mixed)
	emit(tap.OutProj, out)
	return out
}

func (m *phi) Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return m.head.Forward(s, m.norm.Forward(s, x))
}
