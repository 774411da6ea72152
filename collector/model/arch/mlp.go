package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// mlp is fc2(act(fc1 h)) or, with a gate, fc2(act(gate h) ⊙ up h), where fc1 is [gate|up].
type mlp struct {
	mlpDesign
	gated    bool
	fc1, fc2 layer.Linear
}

func (m mlp) forward(s *torch.Scope, h *torch.Tensor, emit Emit) *torch.Tensor {
	inner := m.activate(s, emit(tap.FC1, m.fc1.Forward(s, h)))
	return emit(tap.FC2, m.fc2.Forward(s, emit(tap.Act, inner)))
}

// whole is forward unseen, for rows [n, Hidden].
func (m mlp) whole(s *torch.Scope, rows *torch.Tensor) *torch.Tensor {
	return m.fc2.Forward(s, m.activate(s, m.fc1.Forward(s, rows)))
}

// activate maps what fc1 gives to what fc2 reads.
func (m mlp) activate(s *torch.Scope, inner *torch.Tensor) *torch.Tensor {
	switch {
	case !m.gated:
		return m.act.Forward(s, inner)
	case m.clamped == nil:
		return m.act.Gated(s, inner)
	}
	last := len(inner.Shape()) - 1
	gate, up := s.Narrow(inner, last, 0, int64(m.inner)), s.Narrow(inner, last, int64(m.inner), int64(m.inner))
	return m.clamped.forward(s, gate, up)
}

func (m mlp) width(site tap.Site) int {
	switch {
	case site == tap.Router, site == tap.Experts:
		return 0
	case site == tap.FC1 && m.gated:
		return 2 * m.inner
	}
	return m.inner
}

// clampedGate is g·σ(alpha·g)·(u + 1), where gate g is at most limit and up u within ±limit.
type clampedGate struct{ alpha, limit float64 }

func (c clampedGate) forward(s *torch.Scope, gate, up *torch.Tensor) *torch.Tensor {
	gate = s.ClampMax(gate, c.limit)
	glu := s.Mul(gate, s.Sigmoid(s.MulScalar(gate, c.alpha)))
	return s.Mul(glu, s.AddScalar(s.Clamp(up, -c.limit, c.limit), 1))
}
