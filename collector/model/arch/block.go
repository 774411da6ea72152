package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// attention is a block's maps to [q|k|v] and from the heads back.
type attention struct {
	qkv, out layer.Linear
}

// rotate is what becomes of queries and keys before they meet: the rotary embedding, in some families after a norm.
type rotate func(q, k *torch.Tensor) (*torch.Tensor, *torch.Tensor)

// applyRotary turns queries and keys by their positions (RoPE, Su et al. 2021).
func applyRotary(s *torch.Scope, r *layer.Rotary, c layer.Context) rotate {
	return func(q, k *torch.Tensor) (*torch.Tensor, *torch.Tensor) {
		return r.Forward(s, q, c.Before()), r.Forward(s, k, c.Before())
	}
}

// forward mixes the normed states h; rotate may be nil.
func (a attention) forward(s *torch.Scope, h *torch.Tensor, heads layer.Heads, scores layer.Scores, c layer.Context, rotate rotate, emit Emit) *torch.Tensor {
	qkv := a.qkv.Forward(s, h)
	emit(tap.Wqkv, qkv)
	q, k, v := heads.Split(s, qkv)
	if rotate != nil {
		q, k = rotate(q, k)
	}
	out := a.out.Forward(s, heads.Causal(s, q, k, v, scores, c))
	emit(tap.OutProj, out)
	return out
}

// mlp is fc2(act(fc1 h)), the MLP of the families without a gate.
type mlp struct {
	fc1, fc2 layer.Linear
}

func (m mlp) forward(s *torch.Scope, h *torch.Tensor, act layer.Activation, emit Emit) *torch.Tensor {
	inner := m.fc1.Forward(s, h)
	emit(tap.FC1, inner)
	out := m.fc2.Forward(s, act.Forward(s, inner))
	emit(tap.FC2, out)
	return out
}

// stack is what GPT-2 and GPT-NeoX share: blocks with a LayerNorm before attention and one before the MLP, a last
// one, and an output matrix without a bias.
type stack struct {
	shape  Shape
	inner  int // channels of fc1
	heads  layer.Heads
	act    layer.Activation
	embed  *torch.Tensor // [Vocab, Hidden]
	blocks []stackBlock
	norm   layer.LayerNorm
	head   *torch.Tensor // [Vocab, Hidden]
}

type stackBlock struct {
	norm, mlpNorm layer.LayerNorm
	attention
	mlp
}

// stackNames are the names of a stack's weights.
type stackNames struct {
	vocabulary
	block func(i int) string // what a block's names begin with
	norm  string
	eps   float64
}

// load reads the weights, each block by its family's function.
func (m *stack) load(s *torch.Scope, src *layer.Source, n stackNames, block func(src *layer.Source, at string) (stackBlock, error)) (err error) {
	n.size, n.width = m.shape.Vocab, m.shape.Hidden
	if m.embed, m.head, err = n.vocabulary.load(s, src); err != nil {
		return err
	}
	m.shape.NoHead = m.head == nil
	for i := range m.shape.Layers {
		b, err := block(src.Block(i, m.shape.Layers), n.block(i))
		if err != nil {
			return err
		}
		m.blocks = append(m.blocks, b)
	}
	m.norm, err = layer.LoadLayerNorm(s, src, n.norm, m.shape.Hidden, n.eps)
	return err
}

func (m *stack) Shape() Shape { return m.shape }

func (m *stack) Width(site tap.Site) int { return siteWidth(site, m.heads, m.inner, m.shape.Hidden) }

func (m *stack) Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Linear(m.norm.Forward(s, x), m.head, nil)
}
