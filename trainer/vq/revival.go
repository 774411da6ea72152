package vq

import (
	"slices"

	"actfleet/trainer/ranks"
)

// maxSpare bounds the codes of a codebook revived in one step.
const maxSpare = 256

// revive moves dead codes onto rows of the batch, both averages with them, and
// returns which.
func (s *codebookStats) revive(dead float64, r ranks.Ranks) (revived []int, err error) {
	mean, lost := total(s.emaCount)/float64(s.k), []int(nil)
	for k, n := range s.emaCount {
		if n < dead*mean {
			lost = append(lost, k)
		}
	}
	rows, err := s.spares(r, len(lost))
	if err != nil {
		return nil, err
	}
	for _, k := range lost[:min(len(lost), len(rows))] {
		row := rows[len(revived)]
		copy(s.code(k), row)
		s.emaCount[k] = mean
		for j, v := range row {
			s.emaSum[k*s.w+j] = mean * float64(v)
		}
		revived = append(revived, k)
	}
	return revived, nil
}

// spares are up to most rows of the batch for dead codes, those of all ranks that rank lowest.
func (s *codebookStats) spares(r ranks.Ranks, most int) ([][]float32, error) {
	rows := s.spare.rows()
	if !ranks.Distributed(r) || most == 0 {
		return rows, nil
	}
	keys := make([]float64, len(rows))
	for i, k := range s.spare.kept {
		keys[i] = float64(k.rank >> 11) // exact
	}
	_, rows, err := ranks.Rows(r, keys, rows, min(most, s.spare.size), s.w)
	return rows, err
}

// reservoir keeps the rows of a batch whose place in it hashes lowest, so that the
// choice does not depend on how the batch was split.
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

// offer shows the row at a place of the batch.
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
