package arch

import (
	"fmt"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// expertsDesign is a mixture of experts in an MLP's place. Its sites are those of a block: fc2 is what the experts give
// together; fc1 and act, of which each expert has its own, are not there.
type expertsDesign struct {
	count, inner int // experts, and their inner channels
	routing      layer.Routing
	routerBias   bool
	correction   bool // names.Experts.Correction is added to the scores that choose
	stacked      bool // the experts' matrices lie in one, gate and up alternating in it, with biases
	shared       int  // inner channels of what all tokens go through beside their experts; 0: nothing
	sharedGate   bool // of which each token takes a part
}

// experts is a mixture with its weights.
type experts struct {
	expertsDesign
	router     layer.Linear
	each       []mlp
	shared     *mlp
	sharedGate layer.Linear
}

func (e experts) forward(s *torch.Scope, h *torch.Tensor, emit Emit) *torch.Tensor {
	shape := h.Shape()
	rows := s.Reshape(h, -1, shape[2])
	logits := emit(tap.Router, e.router.Forward(s, h))
	ids, weights := e.routing.Choose(s, s.Reshape(logits, -1, int64(e.count)))
	emit(tap.Experts, s.View(layer.Ranked(s, ids, weights), shape[0], shape[1], int64(e.routing.Chosen)))
	out := layer.Mixture(s, rows, ids, weights, func(s *torch.Scope, number int, rows *torch.Tensor) *torch.Tensor {
		return e.each[number].whole(s, rows)
	})
	if e.shared != nil {
		out = s.Add(out, e.common(s, rows))
	}
	return emit(tap.FC2, s.View(out, shape...))
}

// common is what all tokens get.
func (e experts) common(s *torch.Scope, rows *torch.Tensor) *torch.Tensor {
	out := e.shared.whole(s, rows)
	if e.sharedGate.Weight != nil {
		out = s.Mul(s.Sigmoid(e.sharedGate.Forward(s, rows)), out)
	}
	return out
}

func (e experts) width(site tap.Site) int {
	switch site {
	case tap.Router:
		return e.count
	case tap.Experts:
		return e.routing.Chosen
	}
	return 0
}

// experts reads a mixture. The router is always computed in fp32, for a rounded one chooses others.
func (l *loader) experts(d mlpDesign) feedForward {
	e, n := experts{expertsDesign: *d.experts}, l.names.Experts.InFile()
	e.router.Weight = l.fp32(n.Router+".weight", e.count, l.shape.Hidden)
	if e.routerBias {
		e.router.Bias = l.fp32(n.Router+".bias", e.count)
	}
	if e.correction {
		e.routing.Correction = l.fp32(n.Correction, e.count)
	}
	d.inner = e.inner
	if e.stacked {
		e.each = l.stacked(d)
	} else {
		for i := range e.count {
			at := fmt.Sprintf(n.Each, i)
			e.each = append(e.each, l.gated(d, at+n.Gate, at+n.Up, at+n.Down))
		}
	}
	if d.inner = e.expertsDesign.shared; d.inner > 0 {
		m := l.gated(d, n.Shared+".gate_proj", n.Shared+".up_proj", n.Shared+".down_proj")
		e.shared = &m
	}
	if e.expertsDesign.sharedGate {
		e.sharedGate.Weight = l.fp32(n.SharedGate+".weight", 1, l.shape.Hidden)
	}
	return e
}

// gated reads an MLP with a gate and without biases.
func (l *loader) gated(d mlpDesign, gate, up, down string) mlp {
	return mlp{mlpDesign: d, gated: true, fc1: l.linear(l.shape.Hidden, []string{gate, up}, []int{d.inner, d.inner}, false),
		fc2: l.linear(d.inner, []string{down}, []int{l.shape.Hidden}, false)}
}

// stacked reads experts that lie in one matrix for the first projections and one for the last.
func (l *loader) stacked(d mlpDesign) []mlp {
	all := make([]mlp, d.experts.count)
	first := l.stack(l.names.Experts.Gate, len(all), l.shape.Hidden, 2*d.inner, true)
	last := l.stack(l.names.Experts.Down, len(all), d.inner, l.shape.Hidden, false)
	for i := range all {
		if l.err == nil {
			all[i] = mlp{mlpDesign: d, gated: true, fc1: first[i], fc2: last[i]}
		}
	}
	return all
}

func (l *loader) stack(name string, n, in, out int, alternate bool) (all []layer.Linear) {
	if l.err == nil {
		all, l.err = layer.LoadStacked(l.s, l.src, l.at+name, n, in, out, alternate)
	}
	return all
}

func (l *loader) fp32(name string, dims ...int) (t *torch.Tensor) {
	if l.err == nil {
		t, l.err = l.src.Tensor(l.s, l.at+name, dims...)
	}
	return t
}
