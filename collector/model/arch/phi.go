package arch

import (
	"fmt"
	"math"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
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

// phiNames are the names of a Phi's weights; the parts of a block follow what block returns.
type phiNames struct {
	embed, finalNorm, head string
	block                  func(i int) string
	norm, fused, out       string // fused is empty where q, k and v lie apart
}

var hfNames = phiNames{embed: "model.embed_tokens", finalNorm: "model.final_layernorm", head: "lm_head",
	block: func(i int) string { return fmt.Sprintf("model.layers.%d.", i) }, norm: "input_layernorm", out: "self_attn.dense"}

// phi is x + attn(ln x) + mlp(ln x): one norm per block, attention and MLP side by side.
type phi struct {
	cfg    phiConfig
	act    layer.Activation
	heads  layer.Heads
	names  phiNames
	embed  *torch.Tensor // [Vocab, Hidden]
	rotary *layer.Rotary
	blocks []phiBlock
	norm   layer.LayerNorm
	head   layer.Linear
}

type phiBlock struct {
	norm layer.LayerNorm
	attention
	mlp
	qNorm, kNorm *layer.LayerNorm // over one head, before the rotation; nil without qk_layernorm
}

var familyPhi = family{loadPhi, oldRotary, "model.", "embed_tokens.weight"}

func loadPhi(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	c, err := parsePhi(text)
	if err != nil {
		return nil, err
	}
	return newPhi(s, c, hfNames, src)
}

func newPhi(s *torch.Scope, c phiConfig, names phiNames, src *layer.Source) (Network, error) {
	m := &phi{cfg: c, names: names, heads: c.heads()}
	var err error
	if m.act, err = activation(c.Act); err != nil {
		return nil, err
	}
	if m.rotary, err = c.rope(); err != nil {
		return nil, err
	}
	return m, m.load(s, src)
}

// load reads the weights; a tied output matrix is the embedding, with a bias of its own.
func (m *phi) load(s *torch.Scope, src *layer.Source) (err error) {
	c := m.cfg
	v := vocabulary{embed: m.names.embed, head: m.names.head, tied: c.Tied, size: c.Vocab, width: c.Hidden}
	if m.embed, m.head.Weight, err = v.load(s, src); err != nil {
		return err
	}
	if m.head.Weight != nil {
		if m.head.Bias, err = src.Tensor(s, m.names.head+".bias", c.Vocab); err != nil {
			return err
		}
	}
	for i := range c.Layers {
		block, err := m.loadBlock(s, src.Block(i, c.Layers), m.names.block(i))
		if err != nil {
			return err
		}
		m.blocks = append(m.blocks, block)
	}
	m.norm, err = layer.LoadLayerNorm(s, src, m.names.finalNorm, c.Hidden, c.Eps)
	return err
}

func (m *phi) loadBlock(s *torch.Scope, src *layer.Source, at string) (b phiBlock, err error) {
	c := m.cfg
	if b.norm, err = layer.LoadLayerNorm(s, src, at+m.names.norm, c.Hidden, c.Eps); err != nil {
		return b, err
	}
	if b.qkv, err = m.loadQKV(s, src, at); err != nil {
		return b, err
	}
	if b.out, err = layer.LoadLinear(s, src, at+m.names.out, m.heads.QueryWidth(), c.Hidden, true); err != nil {
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

func (m *phi) loadQKV(s *torch.Scope, src *layer.Source, at string) (layer.Linear, error) {
	h := m.heads
	if m.names.fused != "" {
		return layer.LoadLinear(s, src, at+m.names.fused, m.cfg.Hidden, h.FusedWidth(), true)
	}
	parts := []string{at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"}
	return layer.LoadFused(s, src, parts, m.cfg.Hidden, []int{h.QueryWidth(), h.KeyWidth(), h.KeyWidth()}, true)
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
	return Shape{Layers: m.cfg.Layers, Hidden: m.cfg.Hidden, Vocab: m.cfg.Vocab, MaxPositions: m.cfg.Positions, NoHead: m.head.Weight == nil}
}

func (m *phi) Width(site tap.Site) int {
	return siteWidth(site, m.heads, m.cfg.Inner, m.cfg.Hidden)
}

func (m *phi) Embed(s *torch.Scope, ids *torch.Tensor, _ int) *torch.Tensor {
	return s.Embedding(m.embed, ids)
}

func (m *phi) Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b := m.blocks[i]
	h := b.norm.Forward(s, x)
	scores := layer.Scores{Scale: 1 / math.Sqrt(float64(m.heads.Width))}
	attn := b.attention.forward(s, h, m.heads, scores, c, m.rotateHeads(s, b, c), emit)
	return s.Add(s.Add(attn, b.mlp.forward(s, h, m.act, emit)), x)
}

// rotateHeads norms the queries and keys where the block does, and rotates them.
func (m *phi) rotateHeads(s *torch.Scope, b phiBlock, c layer.Context) rotate {
	rotate := applyRotary(s, m.rotary, c)
	if b.qNorm == nil {
		return rotate
	}
	return func(q, k *torch.Tensor) (*torch.Tensor, *torch.Tensor) {
		return rotate(b.qNorm.Forward(s, q), b.kNorm.Forward(s, k))
	}
}

func (m *phi) Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return m.head.Forward(s, m.norm.Forward(s, x))
}
