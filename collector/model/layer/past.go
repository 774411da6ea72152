package layer

import "actfleet/internal/torch"

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
