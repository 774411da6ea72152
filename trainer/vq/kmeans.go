package vq

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
)

// kmeans fits a codebook to rows.
type kmeans struct {
	*codebook
	z     []float32 // [n, w] the rows
	n     int
	order []int // of the rows, random
	seed  uint64
	cells
}

// cells are the rows of the codes, as of the last assign.
type cells struct {
	assigned  []int32   // [n] the nearest code of every row
	far, next []float64 // [n] the squared distances of that and of the second nearest
}

// fitKMeans sets a codebook by k-means on rows z [n, w], in so many steps, and returns the code of every row.
func fitKMeans(b *codebook, z []float32, n, steps int, seed uint64) (ids []int32, err error) {
	if n < b.k {
		return nil, fmt.Errorf("vq: %d sample rows are too few for %d codes; lower codes or raise init_rows", n, b.k)
	}
	m := newKMeans(b, z, n, seed)
	for k, i := range m.plusPlus() {
		copy(b.code(k), m.row(i))
	}
	first := min(max(steps, 1), plainSteps)
	if err := m.steps(first); err != nil {
		return nil, err
	}
	if err := m.relocate(max(steps, 1) - first); err != nil {
		return nil, err
	}
	return m.assigned, nil
}

func newKMeans(b *codebook, z []float32, n int, seed uint64) *kmeans {
	return &kmeans{codebook: b, z: z, n: n, order: stream.Shuffled(seed, n), seed: seed,
		cells: cells{make([]int32, n), make([]float64, n), make([]float64, n)}}
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

// steps assigns every row and moves every code to the mean of its rows (Lloyd 1982), so many times.
func (m *kmeans) steps(n int) error {
	for range n {
		if err := m.assign(); err != nil {
			return err
		}
		m.move()
	}
	return nil
}

// assign finds the nearest codes of every row.
func (m *kmeans) assign() error {
	return m.scores(m.z, m.n, func(i int, score []float32) {
		first, second := greatestTwo(score)
		norm := squareNorm(m.row(i))
		m.assigned[i], m.far[i], m.next[i] = first, norm-2*float64(score[first]), norm-2*float64(score[second])
	})
}

// greatestTwo are the places of the greatest of at least two numbers, ties to the lower one, and of the next.
func greatestTwo(v []float32) (first, second int32) {
	first, second = 0, 1
	if v[1] > v[0] {
		first, second = 1, 0
	}
	for i := 2; i < len(v); i++ {
		switch x := v[i]; {
		case x > v[first]:
			first, second = int32(i), first
		case x > v[second]:
			second = int32(i)
		}
	}
	return first, second
}

// move moves every code to the mean of its rows; a code without rows goes to the next row of the order.
func (m *kmeans) move() {
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
}

// How the steps are spent: so many plain ones first, and so many after each relocation. On 8,192 rows of activations and
// 256 codes, 20 steps leave 2.7 % less error so than 60 plain ones, which end in a poor optimum.
const (
	plainSteps    = 4
	settlingSteps = 2
)

// relocate spends steps on leaving such an optimum: it moves many codes at once from where others would do nearly as well to
// where the error is greatest, takes a few steps, and where that did not pay goes back and tries half as many. (Near to the
// breathing k-means of Fritzke 2020, arXiv:2006.15666.)
func (m *kmeans) relocate(steps int) error {
	count := max(m.k/4, 1)
	for ; steps > 0 && count > 0; steps -= settlingSteps {
		codes, before := slices.Clone(m.codes), m.cells.clone()
		m.split(count, uint64(steps))
		if err := m.steps(min(steps, settlingSteps)); err != nil {
			return err
		}
		if total(m.far) >= total(before.far) {
			copy(m.codes, codes)
			m.cells, count = before, count/2
		}
	}
	return m.steps(max(steps, 0))
}

func (c cells) clone() cells {
	return cells{slices.Clone(c.assigned), slices.Clone(c.far), slices.Clone(c.next)}
}

// split moves the codes without which the error would rise least, at most count, each to a row of one of the cells of
// the greatest error, drawn by its squared distance; the turn changes which.
func (m *kmeans) split(count int, turn uint64) {
	rise, errors, rows := make([]float64, m.k), make([]float64, m.k), make([][]int, m.k)
	for i, k := range m.assigned {
		rise[k] += m.next[i] - m.far[i]
		errors[k] += m.far[i]
		rows[k] = append(rows[k], i)
	}
	from, to := ascending(rise), ascending(errors)
	slices.Reverse(to)
	for c := range count {
		cell := rows[to[c]]
		if errors[to[c]] <= rise[from[c]] || len(cell) == 0 {
			return
		}
		weight := make([]float64, len(cell))
		for j, i := range cell {
			weight[j] = max(m.far[i], 0)
		}
		copy(m.code(from[c]), m.row(cell[draw(weight, m.seed^hash(turn), c)]))
	}
}

// ascending is the places of numbers from the least one on.
func ascending(v []float64) []int {
	places := make([]int, len(v))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	return places
}
