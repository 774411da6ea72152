package sae

import "math"

// selector finds the k largest positive values of a row. It keeps candidates above a
// floor, at most spare·k of them, and raises the floor whenever they are full. Where
// the floor starts is a guess from the row before; it decides the time alone, never
// the result.
type selector struct {
	k     int
	guess float32
	cand  []uint64 // in the order of the row
	rank  []uint64 // work
}

// spare is the room for candidates, in multiples of k.
const spare = 4

func newSelector(k int) *selector {
	return &selector{k: k, cand: make([]uint64, 0, spare*k), rank: make([]uint64, spare*k)}
}

// A candidate orders like (value, then lower index first): positive floats compare
// as their bits do.
func candidate(v float32, i int) uint64 {
	return uint64(math.Float32bits(v))<<32 | uint64(^uint32(i))
}

func candidateValue(c uint64) float32 { return math.Float32frombits(uint32(c >> 32)) }
func candidateIndex(c uint64) int32   { return int32(^uint32(c)) }

// top writes indices and values of the k largest positive entries of row, by rising
// index, and returns how many there are. NaN is never chosen.
func (s *selector) top(row []float32, idx []int32, val []float32) int {
	s.scan(row, s.guess)
	if len(s.cand) < s.k && s.guess > 0 {
		s.scan(row, 0)
	}
	if len(s.cand) > s.k {
		s.shrink()
	}
	least := float32(math.MaxFloat32)
	for j, c := range s.cand {
		idx[j], val[j] = candidateIndex(c), candidateValue(c)
		least = min(least, val[j])
	}
	s.guess = 0
	if len(s.cand) == s.k {
		s.guess = least * 0.9
	}
	return len(s.cand)
}

// scan collects the candidates of a row above a floor. Most values lie below it, so
// eight are looked at before any is taken up.
func (s *selector) scan(row []float32, floor float32) {
	s.cand = s.cand[:0]
	s.more(row, 0, floor)
}

// more goes on with values that begin at index from, and returns the floor.
func (s *selector) more(row []float32, from int, floor float32) float32 {
	i := 0
	for ; i+8 <= len(row); i += 8 {
		v := (*[8]float32)(row[i:])
		if v[0] > floor || v[1] > floor || v[2] > floor || v[3] > floor ||
			v[4] > floor || v[5] > floor || v[6] > floor || v[7] > floor {
			floor = s.take(v[:], from+i, floor)
		}
	}
	return s.take(row[i:], from+i, floor)
}

// take collects the candidates among values that begin at index from of the row, and
// returns the floor, which may have risen.
func (s *selector) take(values []float32, from int, floor float32) float32 {
	for j, v := range values {
		if v > floor {
			s.cand = append(s.cand, candidate(v, from+j))
			if len(s.cand) == cap(s.cand) {
				floor = s.shrink()
			}
		}
	}
	return floor
}

// shrink keeps the k greatest candidates, in their order, and returns the least
// value among them.
func (s *selector) shrink() float32 {
	rank := s.rank[:copy(s.rank, s.cand)]
	greatest(rank, s.k)
	least := rank[0]
	for _, c := range rank[:s.k] {
		least = min(least, c)
	}
	kept := s.cand[:0]
	for _, c := range s.cand {
		if c >= least {
			kept = append(kept, c)
		}
	}
	s.cand = kept
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
