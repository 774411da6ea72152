package parity

import "math/rand/v2"

// lengths of the prompts that Prompts makes, one after the other.
var lengths = []int{1, 2, 7, 17, 40, 96}

// Prompts makes n prompts of random ids below vocab, none longer than positions: the same ones each time.
func Prompts(n, vocab, positions int) [][]int32 {
	rng := rand.New(rand.NewPCG(1, uint64(vocab)))
	out := make([][]int32, n)
	for p := range out {
		out[p] = make([]int32, min(lengths[p%len(lengths)], positions))
		for t := range out[p] {
			out[p][t] = int32(rng.IntN(vocab))
		}
	}
	return out
}
