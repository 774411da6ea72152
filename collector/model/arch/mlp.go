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
	inner := emit(tap.FC1, m.fc1.Forward(s, h))
	if m.gated {
		gate, up := s.Narrow(inner, 2, 0, int64(m.inner)), s.Narrow(inner, 2, int64(m.inner), int64(m.inner))
		inner = s.Mul(m.act.Forward(s, gate), up)
	} else {
		inner = m.act.Forward(s, inner)
	}
	return emit(tap.FC2, m.fc2.Forward(s, emit(tap.Act, inner)))
}

func (m mlp) width(site tap.Site) int {
	if site == tap.FC1 && m.gated {
		return 2 * m.inner
	}
	return m.inner
}
