package vq

import (
	"fmt"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

// epsilon is ε of the smoothing.
const epsilon = 1e-5

// maxSpare bounds the codes of a book revived in one step.
const maxSpare = 256

// stat is what training knows of a book.
type stat struct {
	*book
	n []float64 // [k] N_k
	s []float64 // [k, w] S_k

	// The window.
	rows  int
	count []int64   // [k] n_k
	sum   []float64 // [k, w] Σ z
	error float64   // Σ‖z−e‖²
	spare reservoir // rows for dead codes
}

func newStat(b *book) *stat {
	return &stat{book: b, n: make([]float64, b.k), s: make([]float64, b.k*b.w), count: make([]int64, b.k), sum: make([]float64, b.k*b.w)}
}

func (s *stat) state(set *state.Set, prefix string) {
	state.Add(set, prefix+"codes", s.codes, s.k, s.w)
	state.Add(set, prefix+"ema_count", s.n)
	state.Add(set, prefix+"ema_sum", s.s, s.k, s.w)
}

// begin empties the window for a step.
func (s *stat) begin(seed, step uint64) {
	s.rows, s.error = 0, 0
	clear(s.count)
	clear(s.sum)
	s.spare = newReservoir(min(s.k, maxSpare), s.w, seed, step)
}

// add takes rows z [n, w] and their codes into the window.
func (s *stat) add(z []float32, ids []int32) error {
	for i, k := range ids {
		row, code := z[i*s.w:(i+1)*s.w], s.code(int(k))
		s.count[k]++
		sum := s.sum[int(k)*s.w : (int(k)+1)*s.w]
		for j, v := range row {
			r := float64(v - code[j])
			sum[j] += float64(v)
			s.error += r * r
		}
		s.spare.offer(row, uint64(s.rows))
		s.rows++
	}
	if s.error-s.error != 0 {
		return fmt.Errorf("vq: the distance to the codes: %w", optim.ErrNonFinite)
	}
	return nil
}

// average moves N and S.
func (s *stat) average(decay float64) {
	for k, c := range s.count {
		s.n[k] = decay*s.n[k] + (1-decay)*float64(c)
	}
	for i, v := range s.sum {
		s.s[i] = decay*s.s[i] + (1-decay)*v
	}
}

// smoothed is Ñ.
func smoothed(n []float64) []float64 {
	sum := total(n)
	out := make([]float64, len(n))
	for k, v := range n {
		out[k] = (v + epsilon) / (sum + float64(len(n))*epsilon) * sum
	}
	return out
}

func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// update sets e_k = S_k/Ñ_k. A code that nothing uses any more keeps its place
// rather than fall to the centre.
func (s *stat) update() {
	for k, n := range smoothed(s.n) {
		if s.n[k] < epsilon {
			continue
		}
		for j := range s.w {
			s.codes[k*s.w+j] = float32(s.s[k*s.w+j] / n)
		}
	}
}

// gradient writes weight·∂Σ‖sg(z)−e‖²/∂e = weight·2(n_k·e_k − Σ z) of the window.
func (s *stat) gradient(grad []float32, weight float64) {
	for k, c := range s.count {
		for j, e := range s.code(k) {
			i := k*s.w + j
			grad[i] = float32(2 * weight * (float64(c)*float64(e) - s.sum[i]))
		}
	}
}

// revive moves dead codes onto rows of the window, both averages with them, and
// returns which.
func (s *stat) revive(dead float64) (revived []int) {
	mean := total(s.n) / float64(s.k)
	rows := s.spare.rows()
	for k := range s.n {
		if s.n[k] >= dead*mean || len(revived) == len(rows) {
			continue
		}
		row := rows[len(revived)]
		copy(s.code(k), row)
		s.n[k] = mean
		for j, v := range row {
			s.s[k*s.w+j] = mean * float64(v)
		}
		revived = append(revived, k)
	}
	return revived
}
