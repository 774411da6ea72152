package torch

import (
	"fmt"
	"math"
	"testing"
)

// attentionCase is one kind of attention.
type attentionCase struct {
	lengths                    []int
	heads, groups, width, wide int64 // wide: of values
	past                       int64
	cap                        float64
	window                     int
	bias, sinks                bool
}

// Every option, alone and together, with prompts of one token, of a tile's rows, and of more than one piece of a strip,
// beside the definition in float64.
func TestAttention(t *testing.T) {
	if !Packs() {
		t.Log("this CPU has no AVX-512")
		return
	}
	for name, c := range map[string]attentionCase{
		"plain":           {lengths: []int{1, 14, 15, 33, 64}, heads: 2, groups: 2, width: 8, wide: 8},
		"one prompt":      {lengths: []int{3}, heads: 1, groups: 1, width: 1, wide: 1},
		"shared keys":     {lengths: []int{5, 40}, heads: 6, groups: 2, width: 16, wide: 16},
		"past":            {lengths: []int{1, 20}, heads: 4, groups: 2, width: 8, wide: 8, past: 37},
		"capped":          {lengths: []int{30}, heads: 2, groups: 2, width: 8, wide: 8, cap: 0.7},
		"window":          {lengths: []int{90, 3}, heads: 2, groups: 1, width: 8, wide: 8, window: 7},
		"bias":            {lengths: []int{9, 12}, heads: 2, groups: 2, width: 8, wide: 8, bias: true},
		"sinks":           {lengths: []int{9, 12}, heads: 4, groups: 2, width: 8, wide: 8, sinks: true},
		"wider values":    {lengths: []int{9, 40}, heads: 2, groups: 2, width: 6, wide: 35},
		"wide heads":      {lengths: []int{17}, heads: 1, groups: 1, width: 520, wide: 520},
		"long":            {lengths: []int{700, 5}, heads: 1, groups: 1, width: 4, wide: 4},
		"long with limit": {lengths: []int{1040}, heads: 1, groups: 1, width: 4, wide: 4, window: 530, past: 9},
		"all of it":       {lengths: []int{4, 45}, heads: 4, groups: 2, width: 8, wide: 5, past: 40, cap: 2, window: 50, bias: true, sinks: true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Do(func(s *Scope) error { return c.besideFloat64(s) }); err != nil {
				t.Error(err)
			}
		})
	}
}

func (c attentionCase) besideFloat64(s *Scope) error {
	a := Attention{Starts: []int32{0}, Scale: 1 / math.Sqrt(float64(c.width)), Cap: c.cap, Window: c.window}
	longest := 0
	for _, n := range c.lengths {
		a.Starts = append(a.Starts, a.Starts[len(a.Starts)-1]+int32(n))
		longest = max(longest, n)
	}
	n := int64(a.Starts[len(c.lengths)])
	if c.past > 0 {
		a.PastKeys, a.PastValues = s.Randn(1, c.groups, c.width, c.past), s.Randn(2, c.groups, c.past, c.wide)
	}
	if c.bias {
		a.Bias = s.Randn(3, c.heads, c.past+int64(longest))
	}
	if c.sinks {
		a.Sinks = s.Randn(4, c.heads)
	}
	// queries and keys as a projection gives them, values already by head
	q := s.Transpose(s.Randn(5, 1, n, c.heads, c.width), 1, 2)
	k := s.Transpose(s.Randn(6, 1, n, c.groups, c.width), 1, 2)
	v := s.Randn(7, 1, c.groups, n, c.wide)
	z := numbers(s, s.Attention(q, k, v, a))
	m := attentionNumbers{c, a, numbers(s, q), numbers(s, k), numbers(s, v), nil, nil, nil, nil, n}
	for _, part := range []struct {
		to   *[]float64
		from *Tensor
	}{{&m.pastKeys, a.PastKeys}, {&m.pastValues, a.PastValues}, {&m.bias, a.Bias}, {&m.sinks, a.Sinks}} {
		if part.from != nil {
			*part.to = numbers(s, part.from)
		}
	}
	return m.compare(z)
}

// attentionNumbers computes by the definition.
type attentionNumbers struct {
	attentionCase
	a                                 Attention
	q, k, v                           []float64
	pastKeys, pastValues, bias, sinks []float64
	n                                 int64
}

func (m attentionNumbers) compare(z []float64) error {
	for p := range m.lengths {
		for i := range int64(m.lengths[p]) {
			for h := range m.heads {
				at := int64(m.a.Starts[p]) + i
				for c, want := range m.mixed(int64(m.a.Starts[p]), i, h) {
					got := z[(at*m.heads+h)*m.wide+int64(c)]
					if math.IsNaN(got) || math.Abs(got-want) > 3e-6*(1+math.Abs(want)) {
						return fmt.Errorf("prompt %d, token %d, head %d, channel %d is %g, want %g", p, i, h, c, got, want)
					}
				}
			}
		}
	}
	return nil
}

// mixed is what token i of the prompt that begins at start gets in head h.
func (m attentionNumbers) mixed(start, i, h int64) []float64 {
	group := h / (m.heads / m.groups)
	out, sum := make([]float64, m.wide), 0.0
	if m.sinks != nil {
		sum = math.Exp(m.sinks[h])
	}
	for j := range m.past + i + 1 {
		if m.window > 0 && j <= m.past+i-int64(m.window) {
			continue
		}
		weight := math.Exp(m.score(start, i, h, j))
		sum += weight
		for c := range m.wide {
			if j < m.past {
				out[c] += weight * m.pastValues[(group*m.past+j)*m.wide+c]
			} else {
				out[c] += weight * m.v[(group*m.n+start+j-m.past)*m.wide+c]
			}
		}
	}
	for c := range out {
		out[c] /= sum
	}
	return out
}

// score is that of token i of the prompt that begins at start with position j, in head h.
func (m attentionNumbers) score(start, i, h, j int64) (x float64) {
	group := h / (m.heads / m.groups)
	for c := range m.width {
		key := 0.0
		if j < m.past {
			key = m.pastKeys[(group*m.width+c)*m.past+j]
		} else {
			key = m.k[(group*m.n+start+j-m.past)*m.width+c]
		}
		x += m.q[(h*m.n+start+i)*m.width+c] * key
	}
	x *= m.a.Scale
	if m.cap > 0 {
		x = m.cap * math.Tanh(x/m.cap)
	}
	if m.bias != nil {
		x += m.bias[h*int64(len(m.bias))/m.heads+j]
	}
	return x
}

// What is not finite in a prompt does not become finite, and does not reach another prompt.
func TestAttentionNotFinite(t *testing.T) {
	if !Packs() {
		t.Log("this CPU has no AVX-512")
		return
	}
	err := Do(func(s *Scope) error {
		x := s.Randn(1, 1, 1, 40, 8)
		x.Float32s()[5*8] = float32(math.NaN())
		z := s.Attention(x, x, x, Attention{Starts: []int32{0, 20, 40}, Scale: 1}).Float32s()
		if v := z[5*8]; v == v {
			t.Errorf("a NaN becomes %g", v)
		}
		for _, v := range z[20*8:] {
			if v != v {
				t.Fatal("another prompt has a NaN")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Shapes that do not fit are refused.
func TestAttentionRefuses(t *testing.T) {
	for name, f := range map[string]func(s *Scope){
		"starts": func(s *Scope) { x := s.Randn(1, 1, 1, 4, 8); s.Attention(x, x, x, Attention{Starts: []int32{0, 5}}) },
		"autograd": func(s *Scope) {
			s.grad = true
			x := s.Randn(1, 1, 1, 4, 8)
			s.Attention(x, x, x, Attention{Starts: []int32{0, 4}})
		},
		"dtype": func(s *Scope) {
			x := s.To(s.Randn(1, 1, 1, 4, 8), F64)
			s.Attention(x, x, x, Attention{Starts: []int32{0, 4}})
		},
	} {
		if err := Do(func(s *Scope) error { f(s); return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
