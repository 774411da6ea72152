package vq

import (
	"fmt"

	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
	"actfleet/trainer/ranks"
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
	from  int // place of its first row in the window of all ranks
	rows  int
	count []int64   // [k] n_k
	sum   []float64 // [k, w] Σ z
	error float64   // Σ‖z−e‖²
	spare reservoir // rows for dead codes

	// Work of add.
	start, of []int32
	errors    []float64 // [k]
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

// codeGrain is the least number of codes worth a goroutine of their own.
const codeGrain = 8

// add takes rows z [n, w] and their codes into the window. Every code's rows are
// added in their order, so the sums do not depend on the number of cores.
func (s *stat) add(z []float32, ids []int32) error {
	s.sort(ids)
	parallel.For(s.k, codeGrain, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			s.addCode(k, z)
		}
	})
	s.error += total(s.errors)
	for i := range ids {
		s.spare.offer(z[i*s.w:(i+1)*s.w], uint64(s.from+s.rows))
		s.rows++
	}
	if s.error-s.error != 0 {
		return fmt.Errorf("vq: the distance to the codes: %w", optim.ErrNonFinite)
	}
	return nil
}

// sort lists the rows of each code: of[start[k]:start[k+1]] are those of code k.
func (s *stat) sort(ids []int32) {
	s.start, s.of, s.errors = grow(s.start, s.k+2), grow(s.of, len(ids)), grow(s.errors, s.k)
	clear(s.start)
	for _, k := range ids {
		s.start[k+2]++
	}
	for k := range s.k {
		s.start[k+2] += s.start[k+1]
	}
	for i, k := range ids {
		s.of[s.start[k+1]] = int32(i)
		s.start[k+1]++
	}
}

func (s *stat) addCode(k int, z []float32) {
	code, sum, far := s.code(k), s.sum[k*s.w:(k+1)*s.w], 0.0
	rows := s.of[s.start[k]:s.start[k+1]]
	for _, i := range rows {
		for j, v := range z[int(i)*s.w : (int(i)+1)*s.w] {
			r := float64(v - code[j])
			sum[j] += float64(v)
			far += r * r
		}
	}
	s.count[k] += int64(len(rows))
	s.errors[k] = far
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
func (s *stat) revive(dead float64, r ranks.Ranks) (revived []int, err error) {
	mean, lost := total(s.n)/float64(s.k), []int(nil)
	for k, n := range s.n {
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
		s.n[k] = mean
		for j, v := range row {
			s.s[k*s.w+j] = mean * float64(v)
		}
		revived = append(revived, k)
	}
	return revived, nil
}
