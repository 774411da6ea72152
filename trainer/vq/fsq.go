package vq

import (
	"math"

	"actfleet/internal/torch"
)

// quantiser turns what an encoder gives, u [m, w], into ids [m] and back.
type quantiser interface {
	// ids writes the id of every row of u.
	ids(u []float32, m int, ids []int32) error
	// vectors writes the rows q [m, w] that ids stand for.
	vectors(ids []int32, m int, q []float32)
	// smooth is the function of u [m, w] whose gradient stands for that of q.
	smooth(s *torch.Scope, u *torch.Tensor) *torch.Tensor
}

var (
	_ quantiser = (*book)(nil)
	_ quantiser = (*grid)(nil)
)

func (b *book) ids(u []float32, m int, ids []int32) error { return b.nearest(u, m, ids) }

func (b *book) vectors(ids []int32, m int, q []float32) {
	for i, k := range ids[:m] {
		copy(q[i*b.w:(i+1)*b.w], b.code(int(k)))
	}
}

func (b *book) smooth(_ *torch.Scope, u *torch.Tensor) *torch.Tensor { return u }

// grid is finite scalar quantisation (Mentzer et al. 2023, arXiv:2309.15505): value
// j of a row is squashed and rounded to one of L_j levels,
//
//	b = tanh(u + s)·h − o    q = round(b)/⌊L/2⌋    id = Σ_j (round(b_j)+⌊L_j/2⌋)·Π_{i<j} L_i
//	h = (L−1)(1+1e-3)/2      o = ½ where L is even, else 0      s = atanh(o/h)
type grid struct {
	levels      []int
	h, o, s     []float64
	half, place []int // ⌊L_j/2⌋ and Π_{i<j} L_i
}

func newGrid(levels []int) *grid {
	g := &grid{levels: levels}
	place := 1
	for _, l := range levels {
		h, o := float64(l-1)*(1+1e-3)/2, 0.0
		if l%2 == 0 {
			o = 0.5
		}
		g.h, g.o, g.s = append(g.h, h), append(g.o, o), append(g.s, math.Atanh(o/h))
		g.half, g.place = append(g.half, l/2), append(g.place, place)
		place *= l
	}
	return g
}

// round is the level of value j, from 0.
func (g *grid) round(j int, u float32) int {
	b := math.RoundToEven(math.Tanh(float64(u)+g.s[j])*g.h[j] - g.o[j])
	return min(max(int(b)+g.half[j], 0), g.levels[j]-1)
}

// unround is a value that round gives a level for: the inverse of the squashing.
func (g *grid) unround(j, level int) float32 {
	return float32(math.Atanh((float64(level-g.half[j])+g.o[j])/g.h[j]) - g.s[j])
}

func (g *grid) ids(u []float32, m int, ids []int32) error {
	w := len(g.levels)
	for i := range ids[:m] {
		id := 0
		for j := range w {
			id += g.round(j, u[i*w+j]) * g.place[j]
		}
		ids[i] = int32(id)
	}
	return nil
}

func (g *grid) vectors(ids []int32, m int, q []float32) {
	w := len(g.levels)
	for i, id := range ids[:m] {
		for j := range w {
			level := int(id) / g.place[j] % g.levels[j]
			q[i*w+j] = float32(level-g.half[j]) / float32(g.half[j])
		}
	}
}

// smooth is b/⌊L/2⌋.
func (g *grid) smooth(s *torch.Scope, u *torch.Tensor) *torch.Tensor {
	w := len(g.levels)
	shift, height, down := make([]float32, w), make([]float32, w), make([]float32, w)
	for j := range w {
		half := float64(g.half[j])
		shift[j], height[j], down[j] = float32(g.s[j]), float32(g.h[j]/half), float32(g.o[j]/half)
	}
	row := func(v []float32) *torch.Tensor { return torch.FromFloat32(s, v, int64(w)) }
	return s.Minus(s.Mul(s.Tanh(s.Add(u, row(shift))), row(height)), row(down))
}
