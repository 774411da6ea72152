package layer

import (
	"slices"

	"actfleet/internal/torch"
)

// Linear is y = x Wᵀ + b, with W of shape [out, in] and b of shape [out] or absent. Both may be 16-bit:
// then x is rounded to that, the products are summed in fp32 and y is rounded once; x and y are fp32.
type Linear struct {
	Weight, Bias *torch.Tensor
	Parts        []Part // the modules whose outputs stand side by side in y, in order; nil: it is no module
	Change       Change // nil: none
}

// Part is one module of a checkpoint among the outputs of a Linear.
type Part struct {
	Module string  // by its name, as the names of its weights begin
	Width  int     // outputs
	Order  []int64 // output i is output Order[i] of the module; nil: i
	Conv1D bool    // the module's weight lies in its file as [in, out]
}

// Change is what is made of a linear map on its way, by an adapter for example.
type Change interface {
	// Forward maps x [.., in] to [.., out] in the place of l, which has no Change.
	Forward(s *torch.Scope, l Linear, x *torch.Tensor) *torch.Tensor
}

// LoadLinear reads name.weight and, with bias set, name.bias.
func LoadLinear(s *torch.Scope, src *Source, name string, in, out int, bias bool) (Linear, error) {
	return LoadFused(s, src, []string{name}, in, []int{out}, bias)
}

// LoadFused stacks several linear maps of the same input into one, so that one matmul serves all of
// them: the output is their outputs side by side, in the order of names.
func LoadFused(s *torch.Scope, src *Source, names []string, in int, outs []int, bias bool) (Linear, error) {
	var ws, bs []*torch.Tensor
	var parts []Part
	for i, name := range names {
		parts = append(parts, Part{Module: name, Width: outs[i]})
		w, err := src.tensor(s, name+".weight", src.target.dtype(), []int{outs[i], in})
		if err != nil {
			return Linear{}, err
		}
		ws = append(ws, w)
		if !bias {
			continue
		}
		b, err := src.tensor(s, name+".bias", src.target.dtype(), []int{outs[i]})
		if err != nil {
			return Linear{}, err
		}
		bs = append(bs, b)
	}
	return Linear{Weight: join(s, ws), Bias: join(s, bs), Parts: parts}, nil
}

// LoadConv1D reads a linear map whose weight lies in the file as [in, out], as GPT-2's do, with a bias.
func LoadConv1D(s *torch.Scope, src *Source, name string, in, out int) (Linear, error) {
	w, err := src.tensor(s, name+".weight", src.target.dtype(), []int{in, out})
	if err != nil {
		return Linear{}, err
	}
	turned := s.Keep(s.Contiguous(s.Transpose(w, 0, 1)))
	w.Free()
	b, err := src.tensor(s, name+".bias", src.target.dtype(), []int{out})
	return Linear{Weight: turned, Bias: b, Parts: []Part{{Module: name, Width: out, Conv1D: true}}}, err
}

// Ungrouped is a map to queries, keys and values whose output rows lie key head by key head, the queries that share it
// before it and its value after it, with its rows put into the order [q|k|v]; the receiver's tensors are freed.
func (l Linear) Ungrouped(s *torch.Scope, h Heads) Linear {
	group := int64(h.Query / h.KeyValue)
	order := func(t *torch.Tensor) *torch.Tensor {
		if t == nil {
			return nil
		}
		shape := t.Shape()
		cut := s.View(t, int64(h.KeyValue), group+2, -1) // [K, G·q + k + v, rest]
		flat := func(from, n int64) *torch.Tensor {
			return s.Reshape(s.Narrow(cut, 1, from, n), append([]int64{-1}, shape[1:]...)...)
		}
		out := s.Keep(s.Cat([]*torch.Tensor{flat(0, group), flat(group, 1), flat(group+1, 1)}, 0))
		t.Free()
		return out
	}
	l.Parts = slices.Clone(l.Parts)
	for i := range l.Parts {
		l.Parts[i].Order = h.ungrouped()
	}
	return Linear{Weight: order(l.Weight), Bias: order(l.Bias), Parts: l.Parts}
}

// ungrouped is, for each output of [q|k|v], where it stands when the outputs lie key head by key head.
func (h Heads) ungrouped() []int64 {
	group, width := h.Query/h.KeyValue, h.Width
	order := make([]int64, 0, h.FusedWidth())
	add := func(from, n int) {
		for k := range h.KeyValue {
			for i := range n * width {
				order = append(order, int64(k*(group+2)*width+from*width+i))
			}
		}
	}
	add(0, group)
	add(group, 1)
	add(group+1, 1)
	return order
}

// join concatenates kept tensors along their first dimension and frees the parts.
func join(s *torch.Scope, parts []*torch.Tensor) *torch.Tensor {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	whole := s.Keep(s.Cat(parts, 0))
	for _, p := range parts {
		p.Free()
	}
	return whole
}

// Forward maps x [.., in] to [.., out].
func (l Linear) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	if change := l.Change; change != nil {
		l.Change = nil
		return change.Forward(s, l, x)
	}
	d := l.Weight.Dtype()
	if d == torch.F32 {
		return s.Linear(x, l.Weight, l.Bias)
	}
	return s.To(s.Linear(s.To(x, d), l.Weight, l.Bias), torch.F32)
}

// LoadStacked reads n linear maps with biases that lie in one matrix name [n, in, out], and their biases in name_bias
// [n, out]. With alternate set, the outputs of two maps alternate in it, and are put one after the other.
func LoadStacked(s *torch.Scope, src *Source, name string, n, in, out int, alternate bool) ([]Linear, error) {
	ws, err := src.tensor(s, name, src.target.dtype(), []int{n, in, out})
	if err != nil {
		return nil, err
	}
	defer ws.Free()
	bs, err := src.tensor(s, name+"_bias", src.target.dtype(), []int{n, out})
	if err != nil {
		return nil, err
	}
	defer bs.Free()
	order := func(t *torch.Tensor) *torch.Tensor { // of the outputs, the first dimension
		if shape := t.Shape(); alternate {
			pairs := s.View(s.Contiguous(t), append([]int64{shape[0] / 2, 2}, shape[1:]...)...)
			t = s.Reshape(s.Transpose(pairs, 0, 1), shape...)
		}
		return s.Keep(s.Clone(s.Contiguous(t)))
	}
	all := make([]Linear, n)
	for i := range all {
		w, b := s.Squeeze(s.Narrow(ws, 0, int64(i), 1), 0), s.Squeeze(s.Narrow(bs, 0, int64(i), 1), 0)
		all[i] = Linear{Weight: order(s.Transpose(w, 0, 1)), Bias: order(b)}
	}
	return all, nil
}
