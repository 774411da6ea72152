package vq

import (
	"fmt"
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// FSQ is an encoder, finite scalar quantisation, and a decoder.
const FSQ Arch = "fsq"

type fsq struct{}

func (fsq) defaults() Defaults { return Defaults{Ids: usualIds, LR: netRate, DeadShare: movedShare} }

// codes is the number of ids that the levels make.
func (fsq) codes(c Config) (int, error) {
	k := 1
	for _, l := range c.Levels {
		if l < 2 || l > maxCodes {
			return 0, fmt.Errorf("levels: %d is not a number of levels, must be at least 2", l)
		}
		if k *= l; k > maxCodes {
			return 0, fmt.Errorf("levels: their product is above %d", maxCodes)
		}
	}
	if len(c.Levels) == 0 {
		return 0, fmt.Errorf("levels: the list is empty")
	}
	return k, nil
}

func (fsq) width(c Config) int { return len(c.Levels) }

func (fsq) entries(int) int { return 0 }

func (fsq) quantiser(c Config) quantiser { return newGrid(c.Levels) }

func (fsq) training(Config, *VQVAE) (quantiserTraining, error) { return fixed{}, nil }

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

func (*grid) files(*state.Set) {}

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

// fixed is the training of a quantiser that learns nothing.
type fixed struct{}

func (fixed) startBatch(uint64, int) {}

func (fixed) init([]float32, int) error { return nil }

func (fixed) add([]float32, []int32) error { return nil }

func (fixed) loss(_ *torch.Scope, recon, _, _ *torch.Tensor) *torch.Tensor { return recon }

func (fixed) offer(*ranks.Bucket) {}

func (fixed) params() []optim.Param { return nil }

func (fixed) metrics(map[string]float64) {}

func (fixed) step(float64, float64, ranks.Ranks, map[string]float64) error { return nil }

func (fixed) save(*state.Set) {}
