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

// Split cuts a fused projection [B, T, FusedWidth] into q [B, T, QueryWidth] and k, v [B, T, KeyWidth], without a copy.
func (h Heads) Split(s *torch.Scope, qkv *torch.Tensor) (q, k, v *torch.Tensor) {
	part := func(from, width int) *torch.Tensor { return s.Narrow(qkv, 2, int64(from), int64(width)) }
	return part(0, h.QueryWidth()), part(h.QueryWidth(), h.KeyWidth()), part(h.QueryWidth()+h.KeyWidth(), h.KeyWidth())
}

// ByHead is x [B, T, H·Width] as [B, H, T, Width], without a copy.
func (h Heads) ByHead(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	shape, width := x.Shape(), int64(h.Width)
	return s.Transpose(s.View(x, shape[0], shape[1], shape[2]/width, width), 1, 2)
}

// Scores says how attention scores come about from q kᵀ.
type Scores struct {
	Scale  float64 // on q kᵀ; usually 1/√C
	Cap    float64 // scores become Cap·tanh(score/Cap); 0 is no cap
	Window int     // a position sees only itself and the Window−1 before it; 0 is no window
	Alibi  *Alibi  // nil: none
	// Sinks [K, G, 1] are one more score for each head, of a key without a value; nil: none.
	Sinks *torch.Tensor
}

// Context is what one block's attention has beside the hidden states.
type Context struct {
	Past   *Past // nil: nothing precedes the prompts
	Before int   // positions of Past
	Masks  *Masks
	// Lengths are the positions of each prompt of the batch, those before it among them; nil: none is padded.
	Lengths []int
	// Starts are where each prompt begins among the N steps of a batch [1, N, ..] whose prompts lie one after the other, and
	// where the last one ends; nil: each prompt has a row of its own, padded on the right. Only a CPU that torch.Packs has them.
	Starts []int32
	// Cache remembers the keys and values of the batch; nil: nothing does.
	Cache *Cache
	// At is the position of each prompt's step, one more than Cache remembers; nil: the prompts begin at Before.
	At []int
}

// positions is how many a prompt of a batch of so many steps has.
func (c Context) positions(row, steps int) int {
	if c.Lengths == nil {
		return c.Before + steps
	}
	return c.Lengths[row]
}

// Causal is softmax(scores + mask) v with fp32 softmax, a position seeing itself and those before it
// only: prompts are padded on the right, so no real position ever sees a pad. Query heads that share a
// key head are folded into the rows of one matmul. The result is [B, T, Query·Width], Width being that of v.
func (h Heads) Causal(s *torch.Scope, q, k, v *torch.Tensor, rule Scores, c Context) *torch.Tensor {
	if c.Starts != nil {
		return h.packed(s, q, k, v, rule, c)
	}
	shape := q.Shape()
	batch, steps, width := shape[0], shape[2], int64(h.Width)
	kv, group := int64(h.KeyValue), int64(h.Query/h.KeyValue)
	rows := s.Reshape(q, batch, kv, group*steps, width)
	k, v = c.remembered(s, k, v)
	scores := c.Past.scores(s, rows, s.MatMul(rows, s.Transpose(k, 2, 3))) // [B, K, G·T, P+T]
	s.MulScalarTo(scores, rule.Scale)
	if rule.Cap > 0 {
		scores = Softcap(s, scores, rule.Cap)
	}
	byHead := s.View(scores, batch, kv, group, steps, -1)
	if rule.Alibi != nil {
		s.AddTo(byHead, c.Masks.biases(scores.Device(), rule.Alibi, h, c.upTo(int(steps))), 1)
	}
	s.AddTo(byHead, c.mask(scores.Device(), int(steps), rule.Window), 1)
	mixed := c.Past.mix(s, s.Softmax(scores, -1), v) // [B, K, G·T, C]
	c.Past.fill(s, k, v)
	if width = v.Shape()[3]; rule.Sinks != nil {
		// of the softmax over all keys and the sink, the keys' part is σ(log Σ exp score − sink)
		part := s.Sigmoid(s.Minus(s.LogSumExp(byHead, -1, false), rule.Sinks))
		s.MulTo(s.View(mixed, batch, kv, group, steps, width), s.Unsqueeze(part, 4))
	}
	byStep := s.Permute(s.View(mixed, batch, kv, group, steps, width), 0, 3, 1, 2, 4)
	return s.Reshape(byStep, batch, steps, kv*group*width)
}

// packed is Causal for prompts that lie one after the other.
func (h Heads) packed(s *torch.Scope, q, k, v *torch.Tensor, rule Scores, c Context) *torch.Tensor {
	a := torch.Attention{Starts: c.Starts, Scale: rule.Scale, Cap: rule.Cap, Window: rule.Window, Sinks: rule.Sinks}
	if rule.Alibi != nil {
		a.Bias = c.Masks.biases(torch.CPU, rule.Alibi, h, c.upTo(0))
	}
	if c.Past.Steps() > 0 {
		a.PastKeys, a.PastValues = c.Past.keys, c.Past.values
	}
	z := s.Attention(q, k, v, a)
	c.Past.fill(s, k, v)
	return z
}

// Softcap is limit·tanh(x/limit): it bends x so that it stays within ±limit.
func Softcap(s *torch.Scope, x *torch.Tensor, limit float64) *torch.Tensor {
	return s.MulScalar(s.Tanh(s.MulScalar(x, 1/limit)), limit)
}

var minusInf = float32(math.Inf(-1))

// Masks are the causal masks of one pass: blocks of one window share theirs.
type Masks struct {
	s      *torch.Scope // of the pass
	made   map[mask]*torch.Tensor
	biased map[bias]*torch.Tensor
	cached cached
}

// mask describes one on a device: rows for positions before..before+steps−1, columns for 0..before+steps−1.
type mask struct {
	device                torch.Device
	steps, before, window int
}

// NewMasks makes masks that live as long as the scope of a pass.
func NewMasks(s *torch.Scope) *Masks {
	return &Masks{s: s, made: map[mask]*torch.Tensor{}, biased: map[bias]*torch.Tensor{},
		cached: cached{map[torch.Device]*torch.Tensor{}, map[mask]*torch.Tensor{}, map[slot]*torch.Tensor{}}}
}

// get is the mask [T, P+T] on a device; a window that no row outgrows is none.
func (m *Masks) get(d torch.Device, steps, before, window int) *torch.Tensor {
	if window >= before+steps {
		window = 0
	}
	key := mask{d, steps, before, window}
	if m.made[key] == nil {
		m.made[key] = m.s.Sub(key.make)
	}
	return m.made[key]
}

// make is the mask on its device: a GPU computes it, for to bring it there the host would have to wait.
func (k mask) make(s *torch.Scope) *torch.Tensor {
	steps, width := int64(k.steps), int64(k.before+k.steps)
	if !k.device.IsCUDA() {
		return torch.FromFloat32(s, k.values(), steps, width)
	}
	row := s.View(s.Arange(int64(k.before), width, torch.I64, k.device), steps, 1)
	column := s.Arange(0, width, torch.I64, k.device)
	hidden := s.Gt(column, row)
	if k.window > 0 {
		hidden = s.Or(hidden, s.Le(column, s.AddScalar(row, float64(-k.window))))
	}
	return s.MaskedFill(s.Zeros(torch.F32, k.device, steps, width), hidden, math.Inf(-1))
}

// values are 0 where row i may see column j, i−window < j ≤ i counted from the prefix's start, and −∞ elsewhere.
func (k mask) values() []float32 {
	width := k.before + k.steps
	out := make([]float32, k.steps*width)
	for i := range k.steps {
		row, at := out[i*width:(i+1)*width], k.before+i
		for j := at + 1; j < width; j++ {
			row[j] = minusInf
		}
		for j := 0; k.window > 0 && j <= at-k.window; j++ {
			row[j] = minusInf
		}
	}
	return out
}

// Past is what one block's attention remembers of P positions that precede every prompt of a batch. An
// empty one is filled by the pass over those positions themselves, a batch of one prompt; the passes
// after it attend to it, several at a time if they like.
type Past struct {
	keys   *torch.Tensor // [K, C, P], as the scores are computed from them
	values *torch.Tensor // [K, P, C]
}

// Steps is the number of positions P; 0 when the past is nil or empty.
func (p *Past) Steps() int {
	if p == nil || p.keys == nil {
		return 0
	}
	return int(p.keys.Shape()[2])
}

// Free ends the tensors of a past that no pass reads any more.
func (p *Past) Free() {
	p.keys.Free()
	p.values.Free()
}

// fill remembers keys and values [1, K, P, C], unless there is nothing to fill.
func (p *Past) fill(s *torch.Scope, k, v *torch.Tensor) {
	if p == nil || p.keys != nil {
		return
	}
	p.keys = s.Keep(s.Clone(s.Transpose(s.Squeeze(k, 0), 1, 2)))
	p.values = s.Keep(s.Clone(s.Squeeze(v, 0)))
}

// scores puts those of rows [B, K, N, C] with the past's keys before own [B, K, N, T].
func (p *Past) scores(s *torch.Scope, rows, own *torch.Tensor) *torch.Tensor {
	if p.Steps() == 0 {
		return own
	}
	return s.Cat([]*torch.Tensor{shared(s, rows, p.keys), own}, 3)
}

// mix is weights [B, K, N, P+T] times the past's values and, after them, own ones [B, K, T, C].
func (p *Past) mix(s *torch.Scope, weights, own *torch.Tensor) *torch.Tensor {
	before := int64(p.Steps())
	if before == 0 {
		return s.MatMul(weights, own)
	}
	steps := own.Shape()[2]
	mixed := s.MatMul(s.Narrow(weights, 3, before, steps), own)
	s.AddTo(mixed, shared(s, s.Narrow(weights, 3, 0, before), p.values), 1)
	return mixed
}

// shared is x [B, K, N, I] times w [K, I, O], which all prompts share, so that one product a head
// serves the whole batch: [B, K, N, O].
func shared(s *torch.Scope, x, w *torch.Tensor) *torch.Tensor {
	in, out := x.Shape(), w.Shape()[2]
	rows := s.Reshape(s.Transpose(x, 0, 1), in[1], in[0]*in[2], in[3])
	return s.Transpose(s.View(s.Bmm(rows, w), in[1], in[0], in[2], out), 0, 1)
}
