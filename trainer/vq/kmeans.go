package vq

import (
	"fmt"
	"math"

	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
)

// kmeans fits a codebook to rows.
type kmeans struct {
	*codebook
	z        []float32 // [n, w] the rows
	n        int
	order    []int // of the rows, random
	seed     uint64
	assigned []int32 // [n] the code of every row, before the codes' last move
}

// fitKMeans sets a codebook by k-means on rows z [n, w] and returns the code of every row.
func fitKMeans(b *codebook, z []float32, n, steps int, seed uint64) (ids []int32, err error) {
	if n < b.k {
		return nil, fmt.Errorf("vq: %d sample rows are too few for %d codes; lower codes or raise init_rows", n, b.k)
	}
	m := kmeans{codebook: b, z: z, n: n, order: stream.Shuffled(seed, n), seed: seed, assigned: make([]int32, n)}
	for k, i := range m.plusPlus() {
		copy(b.code(k), m.row(i))
	}
	for range max(steps, 1) {
		if err := m.step(); err != nil {
			return nil, err
		}
	}
	return m.assigned, nil
}

func (m *kmeans) row(i int) []float32 { return m.z[i*m.w : (i+1)*m.w] }

// Limits of the k-means++ start: it looks at plusPlusRows rows a code, and is left out
// where that takes more than plusPlusWork multiplications.
const (
	plusPlusRows = 8
	plusPlusWork = 4e9
)

// plusPlus chooses the rows the codes begin as: by k-means++ (Arthur and Vassilvitskii
// 2007), each next row with a probability that grows with its squared distance to
// the nearest chosen one; or the first of the order when that is too much work.
func (m *kmeans) plusPlus() []int {
	order := m.order[:min(len(m.order), plusPlusRows*m.k)]
	if float64(m.k)*float64(len(order))*float64(m.w) > plusPlusWork {
		return order[:m.k]
	}
	chosen := []int{order[0]}
	far := make([]float64, len(order)) // squared distance to the nearest chosen row
	for i := range far {
		far[i] = math.Inf(1)
	}
	for len(chosen) < m.k {
		m.lower(far, order, chosen[len(chosen)-1])
		chosen = append(chosen, order[draw(far, m.seed, len(chosen))])
	}
	return chosen
}

// lower lowers far by the distances to row c.
func (m *kmeans) lower(far []float64, order []int, c int) {
	centre := m.row(c)
	parallel.For(len(order), rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var sum float32
			for j, v := range m.row(order[i]) {
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

// step assigns every row and moves every code to the mean of its rows (Lloyd 1982); a code
// without rows goes to the next row of the order.
func (m *kmeans) step() error {
	if err := m.ids(m.z, m.n, m.assigned); err != nil {
		return err
	}
	count, sum := make([]float64, m.k), make([]float64, m.k*m.w)
	for i, k := range m.assigned {
		count[k]++
		for j, v := range m.row(i) {
			sum[int(k)*m.w+j] += float64(v)
		}
	}
	spare := m.k
	for k := range m.k {
		if count[k] == 0 {
			copy(m.code(k), m.row(m.order[spare%m.n]))
			spare++
			continue
		}
		for j := range m.w {
			m.codes[k*m.w+j] = float32(sum[k*m.w+j] / count[k])
		}
	}
	return nil
}
