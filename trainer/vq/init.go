package vq

import (
	"fmt"
	"math"

	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
)

// fit sets centre and scale from n sample rows.
func (f *frame) fit(sample []float32, n int) error {
	d := len(f.centre)
	mean, square, whole := make([]float64, d), 0.0, 0.0
	for i, v := range sample[:n*d] {
		mean[i%d] += float64(v)
	}
	for j := range mean {
		mean[j] /= float64(n)
		f.centre[j] = float32(mean[j])
	}
	for i, v := range sample[:n*d] {
		r := float64(v) - mean[i%d]
		square, whole = square+r*r, whole+float64(v)*float64(v)
	}
	scale := math.Sqrt(square / float64(n*d))
	if !(square > 1e-20*whole) || math.IsInf(scale, 0) { // not by rounding alone
		return fmt.Errorf("vq: the %d rows looked at have a spread of %v: a tokenizer needs finite rows that differ", n, scale)
	}
	f.scale[0] = float32(scale)
	return nil
}

// init sets the codes and their averages from rows z [n, w]; batch is the number of
// rows that a step will give the book.
func (s *stat) init(z []float32, n, batch int, cfg Config) error {
	if n < s.k {
		return fmt.Errorf("vq: %d sample rows are too few for %d codes; lower codes or raise init_rows", n, s.k)
	}
	order := stream.Shuffled(cfg.Seed, n)
	for k, i := range s.first(z, order, cfg.Seed) {
		copy(s.code(k), z[i*s.w:(i+1)*s.w])
	}
	ids := make([]int32, n)
	for range max(cfg.Lloyd, 1) {
		if err := s.lloyd(z, n, ids, order); err != nil {
			return err
		}
	}
	s.weigh(ids, n, batch, cfg.Dead)
	return nil
}

// Limits of the k-means++ start: it looks at spreadRows rows a code, and is left out
// where that takes more than spreadWork multiplications.
const (
	spreadRows = 8
	spreadWork = 4e9
)

// first chooses the rows the codes begin as: by k-means++ (Arthur and Vassilvitskii
// 2007), each next row with a probability that grows with its squared distance to
// the nearest chosen one; or the first of the order when that is too much work.
func (s *stat) first(z []float32, order []int, seed uint64) []int {
	order = order[:min(len(order), spreadRows*s.k)]
	if float64(s.k)*float64(len(order))*float64(s.w) > spreadWork {
		return order[:s.k]
	}
	chosen := []int{order[0]}
	far := make([]float64, len(order)) // squared distance to the nearest chosen row
	for i := range far {
		far[i] = math.Inf(1)
	}
	for len(chosen) < s.k {
		s.closer(far, z, order, chosen[len(chosen)-1])
		chosen = append(chosen, order[draw(far, seed, len(chosen))])
	}
	return chosen
}

// closer lowers far by the distances to row c.
func (s *stat) closer(far []float64, z []float32, order []int, c int) {
	centre := z[c*s.w : (c+1)*s.w]
	parallel.For(len(order), rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var sum float32
			for j, v := range z[order[i]*s.w : (order[i]+1)*s.w] {
				sum += (v - centre[j]) * (v - centre[j])
			}
			far[i] = min(far[i], float64(sum))
		}
	})
}

// draw is an index with a probability proportional to its weight. When no weight is
// left, rows repeat and any will do.
func draw(weight []float64, seed uint64, turn int) int {
	at := float64(hash(seed^hash(uint64(turn)))>>11) / (1 << 53) * total(weight)
	for i, w := range weight {
		if at < w {
			return i
		}
		at -= w
	}
	return turn % len(weight)
}

// lloyd assigns every row and moves every code to the mean of its rows; a code
// without rows goes to the next row of the order.
func (s *stat) lloyd(z []float32, n int, ids []int32, order []int) error {
	if err := s.nearest(z, n, ids); err != nil {
		return err
	}
	count, sum := make([]float64, s.k), make([]float64, s.k*s.w)
	for i, k := range ids {
		count[k]++
		for j, v := range z[i*s.w : (i+1)*s.w] {
			sum[int(k)*s.w+j] += float64(v)
		}
	}
	spare := s.k
	for k := range s.k {
		if count[k] == 0 {
			at := order[spare%n]
			copy(s.code(k), z[at*s.w:(at+1)*s.w])
			spare++
			continue
		}
		for j := range s.w {
			s.codes[k*s.w+j] = float32(sum[k*s.w+j] / count[k])
		}
	}
	return nil
}

// weigh sets N to the counts of the sample, scaled to a batch, but at least to the
// level of a code that is just alive, and S to N·e.
func (s *stat) weigh(ids []int32, n, batch int, dead float64) {
	per := float64(max(batch, 1)) / float64(n)
	clear(s.n)
	for _, k := range ids {
		s.n[k] += per
	}
	least := dead * float64(max(batch, 1)) / float64(s.k)
	for k := range s.n {
		s.n[k] = max(s.n[k], least)
		for j, v := range s.code(k) {
			s.s[k*s.w+j] = s.n[k] * float64(v)
		}
	}
}
