package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"actfleet/collector/model/adapter"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
)

// overlay is a checkpoint with some of its tensors replaced by fp32 ones.
type overlay struct {
	weights
	tensors []safetensors.Info
	own     map[string]adapter.Array
}

// newOverlay puts arrays in the place of the tensors of their names. One that the checkpoint does not have must be the
// output matrix, which it shares with the embedding.
func newOverlay(w weights, own []adapter.Array, head string) (*overlay, error) {
	o := &overlay{weights: w, own: map[string]adapter.Array{}}
	for _, a := range own {
		if _, twice := o.own[a.Name]; twice {
			return nil, fmt.Errorf("%w: it has its own %s twice", adapter.ErrCorrupt, a.Name)
		}
		o.own[a.Name] = a
	}
	open := len(o.own)
	for _, t := range w.Tensors() {
		if a, ok := o.own[t.Name]; ok {
			if open--; !slices.EqualFunc(a.Shape, t.Shape, func(x int, y int64) bool { return int64(x) == y }) {
				return nil, fmt.Errorf("%w: %s is %v, the model's is %v; is it an adapter of another base?", adapter.ErrMismatch, a.Name, a.Shape, t.Shape)
			}
			t = info(a)
		}
		o.tensors = append(o.tensors, t)
	}
	if a, ok := o.own[head]; ok && open > 0 {
		o.tensors = append(o.tensors, info(a))
		open--
	}
	if open > 0 {
		for _, a := range own {
			if !slices.ContainsFunc(o.tensors, func(t safetensors.Info) bool { return t.Name == a.Name }) {
				return nil, fmt.Errorf("%w: it has its own %s, of which the model has none", adapter.ErrMismatch, a.Name)
			}
		}
	}
	return o, nil
}

// info describes an array as an fp32 tensor.
func info(a adapter.Array) safetensors.Info {
	t := safetensors.Info{Name: a.Name, Dtype: safetensors.F32, Size: int64(4 * len(a.Data))}
	for _, n := range a.Shape {
		t.Shape = append(t.Shape, int64(n))
	}
	return t
}

// Tensors lists the tensors, replaced ones as they are now.
func (o *overlay) Tensors() []safetensors.Info { return o.tensors }

// Bytes is the data of a tensor.
func (o *overlay) Bytes(name string) ([]byte, error) {
	a, ok := o.own[name]
	if !ok {
		return o.weights.Bytes(name)
	}
	raw := make([]byte, 0, 4*len(a.Data))
	for _, v := range a.Data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw, nil
}

// reread is the network with an adapter's own parameters in the place of the base's, and how many blocks come before the
// first of them (see arch.Network).
func (m *Model) reread(s *torch.Scope, set *adapter.Set) (arch.Network, int, error) {
	c, err := open(m.dir)
	if err != nil {
		return nil, 0, err
	}
	defer c.weights.Close() // read only
	o, err := newOverlay(c.weights, set.Weights, m.net.Modules().Head+".weight")
	if err != nil {
		return nil, 0, err
	}
	return m.net.Reread(s, layer.NewSource(o, m.target), set.WeightNames(), set.TiedHead)
}
