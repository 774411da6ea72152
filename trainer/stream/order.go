package stream

import (
	"math"
	"math/rand/v2"
)

// rng is a generator of its own for every purpose: (seed, epoch, window) for the
// rows of a window, negative ones for groups and units.
func rng(seed uint64, epoch, window int) *rand.PCG {
	hi := mix(seed ^ mix(uint64(epoch)+0x9e3779b97f4a7c15))
	lo := mix(hi ^ mix(uint64(int64(window))+0xd1b54a32d192ed03))
	return rand.NewPCG(hi, lo)
}

// mix is the finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection that
// spreads every input bit over the whole word.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// shuffle is Fisher and Yates' permutation, spelled out because the standard
// library may change the order its Shuffle gives and a resumed training must not.
func shuffle[T any](r *rand.PCG, s []T) {
	for i := len(s) - 1; i > 0; i-- {
		j := below(r, uint64(i+1))
		s[i], s[j] = s[j], s[i]
	}
}

// below is uniform on [0, n): it draws again in the short last interval.
func below(r *rand.PCG, n uint64) uint64 {
	limit := -n % n // 2^64 mod n
	for {
		if v := r.Uint64(); v >= limit {
			return v % n
		}
	}
}

// Shuffled is the seeded permutation of 0 … n-1 that streams use, for callers
// that need an order of their own that never changes.
func Shuffled(seed uint64, n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	shuffle(rng(seed, 0, -1), p)
	return p
}

// The generators beside those of windows: of the order of units, and, from groupsOf
// downwards, of the groups of spans.
const (
	unitsOf  = math.MinInt32
	groupsOf = -1
)

// windows is the number of windows of w groups that n groups make.
func windows(n, w int) int { return (n + w - 1) / w }

// nth is the i-th piece of w elements.
func nth[T any](order []T, i, w int) []T {
	return order[i*w : min((i+1)*w, len(order))]
}
