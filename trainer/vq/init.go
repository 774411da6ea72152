package vq

import (
	"fmt"
	"math"

	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
)

// Init sets the centre, the codes and their statistics from n sample rows.
func (l *Learner) Init(sample []float32, n int) error {
	if n < l.K || len(sample) < n*l.D {
		return fmt.Errorf("vq: %d sample rows are too few for %d codes; lower codes or raise init_rows", n, l.K)
	}
	for j := range l.Centre {
		var sum float64
		for i := range n {
			sum += float64(sample[i*l.D+j])
		}
		l.Centre[j] = float32(sum / float64(n))
	}
	z := l.centred(sample, n)
	order := stream.Shuffled(l.cfg.Seed, n)
	for k, i := range l.first(z, order) {
		copy(l.code(k), z[i*l.D:(i+1)*l.D])
	}
	codes := make([]int32, n)
	for range max(l.cfg.Lloyd, 1) {
		if err := l.lloyd(z, n, codes, order); err != nil {
			return err
		}
	}
	l.weigh(codes, n)
	return nil
}

// Limits of the k-means++ start: it looks at spreadRows rows a code, and is left out
// where that takes more than spreadWork multiplications.
const (
	spreadRows = 8
	spreadWork = 4e9
)

// first chooses the K rows the codes begin as: by k-means++ (Arthur and
// Vassilvitskii 2007), each next row with a probability that grows with its squared
// distance to the nearest chosen one; or the first K of the order when that is too
// much work.
func (l *Learner) first(z []float32, order []int) []int {
	order = order[:min(len(order), spreadRows*l.K)]
	if float64(l.K)*float64(len(order))*float64(l.D) > spreadWork {
		return order[:l.K]
	}
	chosen := []int{order[0]}
	far := make([]float64, len(order)) // squared distance to the nearest chosen row
	for i := range far {
		far[i] = math.Inf(1)
	}
	for len(chosen) < l.K {
		l.closer(far, z, order, chosen[len(chosen)-1])
		chosen = append(chosen, order[l.draw(far, len(chosen))])
	}
	return chosen
}

// closer lowers far by the distances to row c.
func (l *Learner) closer(far []float64, z []float32, order []int, c int) {
	centre := z[c*l.D : (c+1)*l.D]
	parallel.For(len(order), rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var sum float32
			for j, v := range z[order[i]*l.D : (order[i]+1)*l.D] {
				sum += (v - centre[j]) * (v - centre[j])
			}
			far[i] = min(far[i], float64(sum))
		}
	})
}

// draw is an index with a probability proportional to its weight. When no weight is
// left, rows repeat and any will do.
func (l *Learner) draw(weight []float64, turn int) int {
	var sum float64
	for _, w := range weight {
		sum += w
	}
	at := float64(hash(l.cfg.Seed^hash(uint64(turn)))>>11) / (1 << 53) * sum
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
func (l *Learner) lloyd(z []float32, n int, codes []int32, order []int) error {
	if err := l.nearest(z, n, codes); err != nil {
		return err
	}
	count, sum := make([]float64, l.K), make([]float64, l.K*l.D)
	for i, k := range codes {
		count[k]++
		for j, v := range z[i*l.D : (i+1)*l.D] {
			sum[int(k)*l.D+j] += float64(v)
		}
	}
	spare := l.K
	for k := range l.K {
		if count[k] == 0 {
			at := order[spare%n]
			copy(l.code(k), z[at*l.D:(at+1)*l.D])
			spare++
			continue
		}
		for j := range l.D {
			l.Codes[k*l.D+j] = float32(sum[k*l.D+j] / count[k])
		}
	}
	return nil
}

// weigh sets N to the counts of the sample, scaled to a batch, but at least to the
// level of a code that is just alive, and S to N·e.
func (l *Learner) weigh(codes []int32, n int) {
	per := float64(max(l.cfg.Batch, 1)) / float64(n)
	clear(l.n)
	for _, k := range codes {
		l.n[k] += per
	}
	least := l.cfg.Dead * float64(max(l.cfg.Batch, 1)) / float64(l.K)
	for k := range l.n {
		l.n[k] = max(l.n[k], least)
		for j, v := range l.code(k) {
			l.s[k*l.D+j] = l.n[k] * float64(v)
		}
	}
}
