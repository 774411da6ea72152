package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// decoder is the form that Llama and its successors share: RMSNorm, rotary attention with shared key
// heads, and down(act(gate x) ⊙ up x). What differs between them is in the design.
type decoder struct {
	design
	embed  *torch.Tensor // [Vocab, Hidden]
	blocks []decoderBlock
	norm   layer.RMSNorm
	head   *torch.Tensor // [Vocab, Hidden]
}

// design is everything about a decoder but its weights.
type design struct {
	shape      Shape
	heads      layer.Heads
	inner      int // width of gate, and of up
	act        layer.Activation
	eps        float64
	normOffset float64 // added to every norm's weight
	tied       bool
	bias       struct{ qkv, out, mlp bool }
	qkNorm     bool    // RMSNorm of each query and key head before the rotation
	postNorms  bool    // norms of attention's and MLP's outputs before they are added
	embedScale float64 // on the embedding; 0 is none
	scores     layer.Scores
	windows    []int           // of each block; 0 is none
	rotary     []*layer.Rotary // of each block
	logitCap   float64         // logits become cap·tanh(logit/cap); 0 is none
}

type decoderBlock struct {
	norm, mlpNorm     layer.RMSNorm
	postAttn, postMLP *layer.RMSNorm // nil without postNorms
	qNorm, kNorm      *layer.RMSNorm // nil without qkNorm
	attention
	fc1, fc2 layer.Linear // fc1 is [gate|up]
}

func (m *decoder) Shape() Shape { return m.shape }

func (m *decoder) Width(site tap.Site) int {
	return siteWidth(site, m.heads, 2*m.inner, m.shape.Hidden)
}

func (m *decoder) Embed(s *torch.Scope, ids *torch.Tensor, _ int) *torch.Tensor {
	x := s.Embedding(m.embed, ids)
	if m.embedScale != 0 {
		x = s.MulScalar(x, m.embedScale)
	}
	return x
}

func (m *decoder) Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b := m.blocks[i]
	attn := m.attend(s, i, b.norm.Forward(s, x), c, emit)
	if b.postAttn != nil {
		attn = b.postAttn.Forward(s, attn)
	}
	x = s.Add(x, attn)
	mlp := m.mlp(s, b, b.mlpNorm.Forward(s, x), emit)
	if b.postMLP != nil {
		mlp = b.postMLP.Forward(s, mlp)
	}
	return s.Add(x, mlp)
}

func (m *decoder) attend(s *torch.Scope, i int, h *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor {
	b, scores := m.blocks[i], m.scores
	scores.Window = m.windows[i]
	rotate := applyRotary(s, m.rotary[i], c)
	return b.attention.forward(s, h, m.heads, scores, c, func(q, k *torch.Tensor) (*torch.Tensor, *torch.Tensor) {
		if b.qNorm != nil {
			q, k = b.qNorm.Forward(s, q), b.kNorm.Forward(s, k)
		}
		return rotate(q, k)
	}, emit)
}

func (m *decoder) mlp(s *torch.Scope, b decoderBlock, h *torch.Tensor, emit Emit) *torch.Tensor {
	gateUp := b.fc1.Forward(s, h)
	emit(tap.FC1, gateUp)
	gate, up := s.Narrow(gateUp, 2, 0, int64(m.inner)), s.Narrow(gateUp, 2, int64(m.inner), int64(m.inner))
	out := b.fc2.Forward(s, s.Mul(m.act.Forward(s, gate), up))
	emit(tap.FC2, out)
	return out
}

func (m *decoder) Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	logits := s.Linear(m.norm.Forward(s, x), m.head, nil)
	if m.logitCap > 0 {
		logits = layer.Softcap(s, logits, m.logitCap)
	}
	return logits
}
