package adapter

import (
	"fmt"
	"slices"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// step is a Step with its tensors, which are nil where the Step has no array.
type step struct {
	at, from                             tap.Tap
	mul, add, down, downBias, up, upBias *torch.Tensor
	act                                  layer.Activation
	gain                                 float64
}

func (st *step) free() {
	for _, t := range []*torch.Tensor{st.mul, st.add, st.down, st.downBias, st.up, st.upBias} {
		t.Free()
	}
}

// bindSteps checks steps and makes their tensors.
func (in *binder) bindSteps(net arch.Network, steps []Step) error {
	for _, d := range steps {
		st, err := in.step(net, d)
		if st != nil {
			in.steps = append(in.steps, st)
		}
		if err != nil {
			return err
		}
		if in.First = min(in.First, d.At.Layer); d.At.Site == tap.Embed {
			in.First = -1
		}
	}
	return nil
}

func (in *binder) step(net arch.Network, d Step) (*step, error) {
	name, width := d.At.Column(""), net.Width(d.At)
	st := &step{at: d.At, from: d.At, gain: d.Gain}
	if d.From != "" {
		st.from.Site = d.From
	}
	if err := st.check(net); err != nil {
		return nil, err
	}
	r := len(d.DownBias.Data)
	if len(d.Down.Shape) == 2 {
		r = d.Down.Shape[0]
	}
	if (d.Down.Data == nil) != (d.Up.Data == nil) || d.Down.Data != nil && r == 0 {
		return nil, fmt.Errorf("%w: %s has down or up alone, or rank 0", ErrCorrupt, name)
	}
	device := net.Device(d.At.Layer)
	for _, part := range []struct {
		to    **torch.Tensor
		a     Array
		shape []int
	}{{&st.mul, d.Mul, []int{width}}, {&st.add, d.Add, []int{width}}, {&st.down, d.Down, []int{r, net.Width(st.from)}}, {&st.downBias, d.DownBias, []int{r}},
		{&st.up, d.Up, []int{width, r}}, {&st.upBias, d.UpBias, []int{width}}} {
		if part.a.Data == nil {
			continue
		}
		t, err := in.stepTensor(name, part.a, part.shape, device)
		if err != nil {
			return st, err
		}
		*part.to = t
	}
	var err error
	if d.Activation != "" {
		st.act, err = layer.ParseActivation(d.Activation)
	}
	return st, err
}

// check refuses places that a network does not have, or that a step cannot change or read.
func (st *step) check(net arch.Network) error {
	name := st.at.Column("")
	switch {
	case net.Width(st.at) == 0 || net.Width(st.from) == 0:
		return fmt.Errorf("%w: there is no %s", ErrMismatch, name)
	case st.at.Site == tap.Experts:
		return fmt.Errorf("%w: %s: what was chosen can be read, not changed", ErrUnsupported, name)
	case st.from != st.at && (st.from.Site == tap.Embed || !before(st.from.Site, st.at.Site)):
		return fmt.Errorf("%w: %s reads %s, which its block does not compute before it", ErrUnsupported, name, st.from.Site)
	}
	return nil
}

// stepTensor is an array of a step, of the shape it must have.
func (in *binder) stepTensor(owner string, a Array, shape []int, d torch.Device) (*torch.Tensor, error) {
	if !slices.Equal(a.Shape, shape) {
		return nil, fmt.Errorf("%w: %s of %s is %s, want %s", ErrMismatch, a.Name, owner, shapeText(a.Shape), shapeText(shape))
	}
	if err := finite(owner, a); err != nil {
		return nil, err
	}
	t := in.s.Keep(in.tensor(a, d))
	if in.mode == Live {
		in.Params = append(in.Params, Param{owner, a.Name, t})
	}
	return t, nil
}

// before says whether a site is computed before another one.
func before(a, b tap.Site) bool { return slices.Index(tap.Every, a) < slices.Index(tap.Every, b) }

// Held are the sites of a pass that later steps read.
type Held map[tap.Tap]*torch.Tensor

// Step is what a site holds with the binding's steps, where y [B, T, D] is without them; held keeps what later steps of
// the same block read.
func (b *Binding) Step(s *torch.Scope, t tap.Tap, y *torch.Tensor, held Held) *torch.Tensor {
	for _, st := range b.steps {
		if st.at == t {
			x := y
			if st.from != t {
				x = held[st.from]
			}
			y = st.forward(s, x, y)
		}
	}
	for _, st := range b.steps {
		if st.from == t && st.from != st.at {
			held[t] = y
		}
	}
	return y
}

// forward changes y, reading x.
func (st *step) forward(s *torch.Scope, x, y *torch.Tensor) *torch.Tensor {
	own := x == y
	if st.mul != nil {
		y = s.Mul(y, st.mul)
	}
	if st.add != nil {
		y = s.Add(y, st.add)
	}
	if st.down == nil {
		return y
	}
	if own {
		x = y
	}
	h := s.Linear(x, st.down, st.downBias)
	if st.act != "" {
		h = st.act.Forward(s, h)
	}
	out := s.Linear(h, st.up, st.upBias)
	if st.gain != 1 {
		out = s.MulScalar(out, st.gain)
	}
	return s.Add(y, out)
}
