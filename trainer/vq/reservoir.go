package vq

import "slices"

// reservoir keeps the rows of a window whose place in it hashes lowest, so that the
// choice does not depend on how the window was split.
type reservoir struct {
	size, d int
	seed    uint64
	step    uint64
	kept    []spare // ascending by rank
}

type spare struct {
	rank uint64
	row  []float32
}

func newReservoir(size, d int, seed, step uint64) reservoir {
	return reservoir{size: size, d: d, seed: seed, step: step}
}

// offer shows the row at a place of the window.
func (r *reservoir) offer(row []float32, place uint64) {
	rank := hash(r.seed ^ hash(r.step^hash(place)))
	if len(r.kept) == r.size && rank >= r.kept[r.size-1].rank {
		return
	}
	at, _ := slices.BinarySearchFunc(r.kept, rank, func(s spare, rank uint64) int {
		if s.rank < rank {
			return -1
		}
		return 1
	})
	var memory []float32
	if len(r.kept) == r.size {
		memory = r.kept[r.size-1].row
		r.kept = r.kept[:r.size-1]
	} else {
		memory = make([]float32, r.d)
	}
	copy(memory, row)
	r.kept = slices.Insert(r.kept, at, spare{rank, memory})
}

// rows is the kept rows, lowest hash first.
func (r *reservoir) rows() [][]float32 {
	out := make([][]float32, len(r.kept))
	for i, s := range r.kept {
		out[i] = s.row
	}
	return out
}

// hash is the finaliser of splitmix64 on a shifted input.
func hash(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
