package vq

import (
	"fmt"
	"math"
	"strconv"

	"actfleet/trainer/ranks"
)

// idStats counts the ids of a batch.
type idStats struct {
	dims  Dims
	rows  int64
	count [][]int64 // [T][K]
	alike [][]int64 // [T][T] rows whose ids t < u are equal
}

func newIDStats(d Dims) idStats {
	t := idStats{dims: d}
	for range d.Ids {
		t.count = append(t.count, make([]int64, d.Codes))
		t.alike = append(t.alike, make([]int64, d.Ids))
	}
	return t
}

// add counts ids [n, T].
func (t *idStats) add(ids []int32, n int) {
	for i := range n {
		row := ids[i*t.dims.Ids : (i+1)*t.dims.Ids]
		for a, k := range row {
			t.count[a][k]++
			for b := a + 1; b < len(row); b++ {
				if row[b] == k {
					t.alike[a][b]++
				}
			}
		}
	}
	t.rows += int64(n)
}

// metrics are: entropy, the mean bits that an id carries; perplexity, 2^entropy;
// usage, the share of values that occur; diversity, the least share of its log₂K
// bits that an id carries. With several ids: entropy_0, entropy_1, … of each, and
// alike, the greatest share of rows in which two ids are equal.
func (t *idStats) metrics() map[string]float64 {
	m := map[string]float64{}
	least, sum, used := math.Inf(1), 0.0, 0.0
	for i, c := range t.count {
		h, u := entropy(c)
		least, sum, used = min(least, h), sum+h, used+u
		if len(t.count) > 1 {
			m["entropy_"+strconv.Itoa(i)] = h
		}
	}
	T := float64(t.dims.Ids)
	m["entropy"], m["perplexity"], m["usage"] = sum/T, math.Exp2(sum/T), used/T
	m["diversity"] = least / math.Log2(float64(t.dims.Codes))
	if len(t.count) > 1 {
		var most int64
		for _, row := range t.alike {
			for _, n := range row {
				most = max(most, n)
			}
		}
		m["alike"] = float64(most) / float64(t.rows)
	}
	return m
}

// entropy is −Σ p log₂ p of counts, and the share of them above 0.
func entropy(count []int64) (bits, used float64) {
	var n float64
	for _, c := range count {
		n += float64(c)
	}
	for _, c := range count {
		if c > 0 {
			used++
			bits -= float64(c) / n * math.Log2(float64(c)/n)
		}
	}
	return bits, used / float64(len(count))
}

func (t *idStats) offer(b *ranks.Bucket) {
	ranks.Number(b, &t.rows)
	for i := range t.count {
		ranks.Numbers(b, t.count[i])
		ranks.Numbers(b, t.alike[i])
	}
}

// residualStats is what a batch says about its rows and what is left of them.
type residualStats struct {
	rows          int
	error, square float64   // Σ‖z−ẑ‖², Σ‖z‖²
	total         []float64 // [D] Σ z
}

func newResidualStats(d int) residualStats { return residualStats{total: make([]float64, d)} }

// addRows takes rows z [n, D].
func (s *residualStats) addRows(z []float32) {
	d := len(s.total)
	for at := 0; at < len(z); at += d {
		for j, v := range z[at : at+d] {
			a := float64(v)
			s.total[j] += a
			s.square += a * a
		}
	}
	s.rows += len(z) / d
}

// addResiduals takes z − ẑ of the same rows.
func (s *residualStats) addResiduals(r []float32) { s.error += squareNorm(r) }

// metrics adds fvu where the rows differ.
func (s *residualStats) metrics(m map[string]float64) {
	dev := s.square
	for _, v := range s.total {
		dev -= v * v / float64(s.rows)
	}
	if dev > 0 {
		m["fvu"] = s.error / dev
	}
}

func (s *residualStats) offer(b *ranks.Bucket) {
	ranks.Number(b, &s.rows)
	ranks.Number(b, &s.error, &s.square)
	ranks.Numbers(b, s.total)
}

// What an id must carry of its bits, and how often two may be equal, before Alarms
// speaks up.
const (
	leastDiversity = 0.1
	mostAlike      = 0.95
)

// Alarms says, for people, which metrics of a tokenizer tell of ids that say next
// to nothing: a codebook that collapsed, or ids that repeat each other.
func Alarms(m map[string]float64) (lines []string) {
	if v, ok := m["diversity"]; ok && v < leastDiversity {
		which := "an id"
		for t := 0; ; t++ {
			h, ok := m["entropy_"+strconv.Itoa(t)]
			if !ok {
				break
			}
			if which == "an id" || h < m["entropy_"+which[3:]] {
				which = "id " + strconv.Itoa(t)
			}
		}
		lines = append(lines, fmt.Sprintf("%s carries %.2g %% of the bits it could: most rows have the same one", which, 100*v))
	}
	if v, ok := m["alike"]; ok && v > mostAlike {
		lines = append(lines, fmt.Sprintf("two ids are equal in %.3g %% of the rows: the second says nothing", 100*v))
	}
	return lines
}
