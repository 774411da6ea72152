package sae

import "math"

// selector finds the k largest positive values of a row. It keeps up to 2k
// candidates and raises its threshold whenever they are full.
type selector struct {
	k    int
	cand []uint64
}

func newSelector(k int) *selector { return &selector{k: k, cand: make([]uint64, 0, 2*k)} }

// A candidate orders like (value, then lower index first): positive floats compare
// as their bits do.
func candidate(v float32, i int) uint64 {
	return uint64(math.Float32bits(v))<<32 | uint64(^uint32(i))
}

func candidateValue(c uint64) float32 { return math.Float32frombits(uint32(c >> 32)) }
func candidateIndex(c uint64) int32   { return int32(^uint32(c)) }

// top writes indices and values of the k largest positive entries of row, in no
// particular but a fixed order, and returns how many there are. NaN is never chosen.
func (s *selector) top(row []float32, idx []int32, val []float32) int {
	s.cand = s.cand[:0]
	var floor float32
	for i, v := range row {
		if v > floor {
			s.cand = append(s.cand, candidate(v, i))
			if len(s.cand) == 2*s.k {
				floor = s.shrink()
			}
		}
	}
	if len(s.cand) > s.k {
		s.shrink()
	}
	for j, c := range s.cand {
		idx[j], val[j] = candidateIndex(c), candidateValue(c)
	}
	return len(s.cand)
}

// shrink keeps the k greatest candidates and returns the least value among them.
func (s *selector) shrink() float32 {
	greatest(s.cand, s.k)
	s.cand = s.cand[:s.k]
	least := s.cand[0]
	for _, c := range s.cand {
		least = min(least, c)
	}
	return candidateValue(least)
}

// greatest moves the k greatest of distinct values to the front (Hoare's quickselect).
func greatest(a []uint64, k int) {
	lo, hi := 0, len(a)-1
	for lo < hi {
		pivot := median3(a[lo], a[(lo+hi)/2], a[hi])
		i, j := lo, hi
		for i <= j {
			for a[i] > pivot {
				i++
			}
			for a[j] < pivot {
				j--
			}
			if i <= j {
				a[i], a[j] = a[j], a[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return
		}
	}
}

func median3(a, b, c uint64) uint64 { return max(min(a, b), min(max(a, b), c)) }
