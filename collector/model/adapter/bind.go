package adapter

import (
	"fmt"
	"slices"
	"strings"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// Mode says what a Binding computes when.
type Mode int

const (
	// Fixed computes once what does not depend on the input, and leaves out what changes nothing.
	Fixed Mode = iota
	// Live computes everything from Binding.Params in each pass: a trainer may record it and change them.
	Live
)

// Binding is a Set on a network.
type Binding struct {
	Network arch.Network // shares the weights of the one it was bound to
	// First is the number of blocks before the first that the set changes: their states are the base's. It is −1 where the
	// embedding is changed.
	First int
	// Params are the arrays as tensors, each where its map's weights are, in the order of the set; of a Live binding only.
	Params []Param

	kept  []effect
	steps []*step
}

// Param is one array of a set as a tensor, which lives until Binding.Free.
type Param struct {
	Owner  string // the module's name, or the tap of a step
	Name   string // the array's
	Tensor *torch.Tensor
}

// Bind puts the modules and steps of a set around the maps and sites of a network; its Weights are whoever loads
// weights' business. Errors: ErrMismatch, ErrCorrupt, ErrUnsupported.
func Bind(s *torch.Scope, net arch.Network, set *Set, mode Mode) (*Binding, error) {
	b := &Binding{First: net.Shape().Layers}
	in := &binder{Binding: b, s: s, mode: mode, open: map[string]Module{}}
	for _, m := range set.Modules {
		if _, twice := in.open[m.Name]; twice {
			return nil, fmt.Errorf("%w: %s is changed twice", ErrCorrupt, m.Name)
		}
		in.open[m.Name] = m
	}
	b.Network = net.Map(in.linear)
	if in.err == nil {
		in.err = in.left()
	}
	if in.err == nil {
		in.err = in.whole(set)
	}
	if in.err == nil {
		in.err = in.bindSteps(net, set.Steps)
	}
	if in.err != nil {
		b.Free()
		return nil, in.err
	}
	return b, nil
}

// Free ends the binding's tensors; its network must not be used any more.
func (b *Binding) Free() {
	if b == nil {
		return
	}
	for _, p := range b.Params {
		p.Tensor.Free()
	}
	for _, e := range b.kept {
		e.free()
	}
	if b.Params == nil {
		for _, st := range b.steps {
			st.free()
		}
	}
}

// binder is the state of one Bind.
type binder struct {
	*Binding
	s     *torch.Scope
	mode  Mode
	open  map[string]Module // not bound yet
	there []string          // the modules of the network
	err   error
}

// linear wraps a map whose parts are modules of the set.
func (in *binder) linear(block int, l layer.Linear) layer.Linear {
	w, changed := &wrapped{}, false
	for _, p := range l.Parts {
		in.there = append(in.there, p.Module)
		piece := piece{width: int64(p.Width), order: p.Order}
		if m, ok := in.open[p.Module]; ok && in.err == nil {
			delete(in.open, p.Module)
			in.err = in.module(m, l, w.width(), &piece)
			changed = true
		}
		w.pieces = append(w.pieces, piece)
	}
	if !changed || in.err != nil {
		return l
	}
	if block >= 0 {
		in.First = min(in.First, block)
	}
	if !slices.ContainsFunc(w.pieces, piece.changes) {
		return l
	}
	l.Change = w
	return l
}

// module makes a piece of a map, from output at on, what m says.
func (in *binder) module(m Module, l layer.Linear, at int64, p *piece) error {
	if err := m.check(int(l.Weight.Shape()[1]), int(p.width)); err != nil {
		return err
	}
	p.module, p.arrays = m, arrays{}
	for _, a := range m.Arrays {
		t := in.tensor(a, l.Weight.Device())
		p.arrays[a.Name] = t
		if in.mode == Live {
			in.Params = append(in.Params, Param{m.Name, a.Name, in.s.Keep(t)})
		}
	}
	if in.mode == Live {
		p.live = true
		return nil
	}
	e := p.effect(in.s, part(in.s, l, at, p.width)).essential(in.s).kept(in.s)
	in.kept = append(in.kept, e)
	p.fixed, p.arrays = e, nil
	return nil
}

func (in *binder) tensor(a Array, d torch.Device) *torch.Tensor {
	shape := make([]int64, len(a.Shape))
	for i, n := range a.Shape {
		shape[i] = int64(n)
	}
	return in.s.ToDevice(torch.FromFloat32(in.s, a.Data, shape...), d)
}

// left refuses modules that the network does not have.
func (in *binder) left() error {
	if len(in.open) == 0 {
		return nil
	}
	var names []string
	for name := range in.open {
		names = append(names, name)
	}
	name := slices.Min(names)
	return fmt.Errorf("%w: it changes %s (and %d others), which is no linear map there; there are %s",
		ErrMismatch, name, len(names)-1, strings.Join(endings(in.there), ", "))
}

// whole refuses a set that lacks a module which its config means. Experts count where the set changes one: transformers 5
// has all of a block's in two arrays, which are no modules.
func (in *binder) whole(set *Set) error {
	if set.means == nil || set.means.all {
		return nil
	}
	expert := func(name string) bool { return strings.Contains(name, ".experts.") }
	experts := slices.ContainsFunc(set.Modules, func(m Module) bool { return expert(m.Name) })
	for _, name := range in.there {
		if set.means.means(name) && (experts || !expert(name)) && !slices.ContainsFunc(set.Modules, func(m Module) bool { return m.Name == name }) {
			return fmt.Errorf("%w: its target_modules mean %s, of which its file holds nothing", ErrCorrupt, name)
		}
	}
	return nil
}

// endings are the last elements of names, each once.
func endings(names []string) (out []string) {
	for _, name := range names {
		end := name[strings.LastIndexByte(name, '.')+1:]
		if !slices.Contains(out, end) {
			out = append(out, end)
		}
	}
	return out
}

// wrapped is the change of a map whose outputs are pieces side by side.
type wrapped struct{ pieces []piece }

// piece is some consecutive outputs of a map, perhaps changed.
type piece struct {
	width  int64
	order  []int64 // of its outputs, see layer.Part
	fixed  effect
	live   bool
	module Module // with its arrays, of a live one
	arrays arrays
}

func (w *wrapped) width() (n int64) {
	for _, p := range w.pieces {
		n += p.width
	}
	return n
}

// changes says whether the piece is not the map's own.
func (p piece) changes() bool { return p.live || p.fixed != effect{} }

// effect is what the piece's arrays do to the map l of its outputs.
func (p piece) effect(s *torch.Scope, l layer.Linear) effect {
	e := forms[p.module.Kind].effect(s, p.module, p.arrays, l.Weight.Shape()[1])
	return e.permuted(s, p.order).normed(s, l.Weight)
}

// part is the map to some of the outputs of l.
func part(s *torch.Scope, l layer.Linear, at, width int64) layer.Linear {
	out := layer.Linear{Weight: s.Narrow(l.Weight, 0, at, width)}
	if l.Bias != nil {
		out.Bias = s.Narrow(l.Bias, 0, at, width)
	}
	return out
}

// Forward implements layer.Change.
func (w *wrapped) Forward(s *torch.Scope, l layer.Linear, x *torch.Tensor) *torch.Tensor {
	var base *torch.Tensor // what l gives; nil while no piece has needed it
	var out []*torch.Tensor
	last, at := len(x.Shape())-1, int64(0)
	for _, p := range w.pieces {
		e, own := p.fixed, part(s, l, at, p.width)
		if p.live {
			e = p.effect(s, own)
		}
		var y *torch.Tensor
		if e.reads() {
			y = own.Forward(s, e.before(s, x))
		} else {
			if base == nil {
				base = l.Forward(s, x)
			}
			y = s.Narrow(base, last, at, p.width)
		}
		out = append(out, e.after(s, x, y, own.Bias))
		at += p.width
	}
	if len(out) == 1 {
		return out[0]
	}
	return s.Cat(out, last)
}
