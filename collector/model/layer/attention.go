package layer

import (
	"math"

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

// Split cuts a fused projection [B, T, FusedWidth] into q [B, T, Query, Width] and k, v
// [B, T, KeyValue, Width].
func (h Heads) Split(s *torch.Scope, qkv *torch.Tensor) (q, k, v *torch.Tensor) {
	shape := qkv.Shape()
	cut := func(from, heads int) *torch.Tensor {
		part := s.Narrow(qkv, 2, int64(from), int64(heads*h.Width))
		return s.View(part, shape[0], shape[1], int64(heads), int64(h.Width))
	}
	return cut(0, h.Query), cut(h.QueryWidth(), h.KeyValue), cut(h.QueryWidth()+h.KeyWidth(), h.KeyValue)
}

// Scores says how attention scores come about from q kᵀ.
type Scores struct {
	Scale  float64 // on q kᵀ; usually 1/√C
	Cap    float64 // scores become Cap·tanh(score/Cap); 0 is no cap
	Window int     // position i sees only i−Window+1..i; 0 is no window
}

// Causal is softmax(scores + mask) v with fp32 softmax, position i seeing positions 0..i only: prompts
// are padded on the right, so no real position ever sees a pad. Query heads that share a key head are
// folded into the rows of one matmul. The result is [B, T, Query·Width].
func (h Heads) Causal(s *torch.Scope, q, k, v *torch.Tensor, how Scores) *torch.Tensor {
	shape := q.Shape()
	batch, steps, width := shape[0], shape[1], int64(h.Width)
	kv, group := int64(h.KeyValue), int64(h.Query/h.KeyValue)
	// [B, T, H, C] -> [B, K, G·T, C]
	rows := s.Reshape(s.Permute(s.View(q, batch, steps, kv, group, width), 0, 2, 3, 1, 4), batch, kv, group*steps, width)
	keys := s.Permute(k, 0, 2, 3, 1)   // [B, K, C, T]
	values := s.Permute(v, 0, 2, 1, 3) // [B, K, T, C]
	scores := s.MulScalar(s.MatMul(rows, keys), how.Scale)
	if how.Cap > 0 {
		scores = Softcap(s, scores, how.Cap)
	}
	scores = s.Add(s.View(scores, batch, kv, group, steps, steps), causalMask(s, int(steps), how.Window))
	weights := s.View(s.Softmax(scores, -1), batch, kv, group*steps, steps)
	mixed := s.View(s.MatMul(weights, values), batch, kv, group, steps, width)
	return s.Reshape(s.Permute(mixed, 0, 3, 1, 2, 4), batch, steps, kv*group*width)
}

// Softcap is limit·tanh(x/limit): it bends x so that it stays within ±limit.
func Softcap(s *torch.Scope, x *torch.Tensor, limit float64) *torch.Tensor {
	return s.MulScalar(s.Tanh(s.MulScalar(x, 1/limit)), limit)
}

// causalMask is [T, T]: 0 where row i may see column j, i−window < j ≤ i, and −∞ elsewhere. A window
// that no row outgrows costs nothing.
func causalMask(s *torch.Scope, steps, window int) *torch.Tensor {
	mask := make([]float32, steps*steps)
	for i := range steps {
		row := mask[i*steps : (i+1)*steps]
		for j := i + 1; j < steps; j++ {
			row[j] = minusInf
		}
		for j := 0; window > 0 && j <= i-window; j++ {
			row[j] = minusInf
		}
	}
	return torch.FromFloat32(s, mask, int64(steps), int64(steps))
}

var minusInf = float32(math.Inf(-1))
