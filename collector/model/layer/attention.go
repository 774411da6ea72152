package layer

import (
	"actfleet/internal/torch"
)

// Heads says how an attention layer's channels are cut up.
type Heads struct {
	Query, KeyValue int // number of query heads, and of key/value heads they share (GQA)
	Width           int // channels of one head
}

// QueryWidth is the width of all query heads side by side.
func (h Heads) QueryWidth() int { return h.Query * h.Width }

// KeyWidth is the width of all key (or value) heads side by side.
func (h Heads) KeyWidth() int { return h.KeyValue * h.Width }

// FusedWidth is the width of [q|k|v].
func (h Heads) FusedWidth() int { return h.QueryWidth() + 2*h.KeyWidth() }

// Split cuts a fused projection [B, T, FusedWidth] into q [B, Query, T, Width] and k, v
// [B, KeyValue, T, Width], without a copy.
func (h Heads) Split(s *torch.Scope, qkv *torch.Tensor) (q, k, v *torch.Tensor) {
	shape := qkv.Shape()
	cut := func(from, heads int) *torch.Tensor {
		part := s.Narrow(qkv, 2, int64(from), int64(heads*h.Width))
		return s.Transpose(s.View(part, shape[0], shape[1], int64(heads), int64(h.Width)), 1, 2)
	}
	return cut(0, h.Query), cut(h.QueryWidth(), h.KeyValue), cut(h.QueryWidth()+h.KeyWidth(), h.KeyValue)
}

// Scores says how attention scores come about from q kᵀ.
type Scores struct {
	Scale  float64 // on q kᵀ; usually 1/√C
	Cap    float64 // scores become Cap·tanh(score/Cap); 0 is no cap
	Window int     // a position sees only itself and the Window−1 before it; 0 is no window
}

// Context is what one block's attention has beside the hidden states.
type Context struct {
	Past  *Past // nil: the prompts start at position 0
	Masks *Masks
}

// Before is the number of positions before the batch's.
func (c Context) Before() int { return c.Past.Steps() }

// Causal is softmax(scores + mask) v with fp32 softmax, a position seeing itself and those before it
// only: prompts are padded on the right, so no real position ever sees a pad. Query heads that share a
// key head are folded into the rows of one matmul. The result is [B, T, Query·Width].
func (h Heads) Causal(s *torch.Scope, q, k, v *torch.Tensor, rule Scores, c Context) *torch.Tensor {
	shape := q.Shape()
	batch, steps, width := shape[0], shape[2], int64(h.Width)
	kv, group := int64(h.KeyValue), int64(h.Query/h.KeyValue)
	rows := s.Reshape(q, batch, kv, group*steps, width)
	scores := c.Past.scores(s, rows, s.MatMul(rows, s.Transpose(k, 2, 3))) // [B, K, G·T, P+T]
	s.MulScalarTo(scores, rule.Scale)
	if rule.Cap > 0 {
		scores = Softcap(s, scores, rule.Cap)
	}
	s.AddTo(s.View(scores, batch, kv, group, steps, -1), c.Masks.get(scores.Device(), int(steps), c.Before(), rule.Window), 1)
	mixed := c.Past.mix(s, s.Softmax(scores, -1), v) // [B, K, G·T, C]
	c.Past.fill(s, k, v)
	byStep := s.Permute(s.View(mixed, batch, kv, group, steps, width), 0, 3, 1, 2, 4)
	return s.Reshape(byStep, batch, steps, kv*group*width)
}

// Softcap is limit·tanh(x/limit): it bends x so that it stays within ±limit.
func Softcap(s *torch.Scope, x *torch.Tensor, limit float64) *torch.Tensor {
	return s.MulScalar(s.Tanh(s.MulScalar(x, 1/limit)), limit)
}
