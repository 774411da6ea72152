package vq

import (
	"fmt"
	"math"
)

// Dims are the sizes of a tokenizer. Row and Ids are lengths, Codes is a count of
// values: they are never exchanged for one another.
type Dims struct {
	Row   int // D, values of a row
	Ids   int // T, ids of a row
	Codes int // K, values an id can have: 0 … K−1
}

// Bits is what the ids of a row take when each has its full length, T·log₂K.
func (d Dims) Bits() float64 { return float64(d.Ids) * math.Log2(float64(d.Codes)) }

// Limits of what a file or a config may ask for.
const (
	maxCodes = 1 << 20
	maxIds   = 1 << 10
	maxRow   = 1 << 24
)

// Dims are the sizes of a tokenizer of rows of d values, or what is wrong with them.
func (c Config) Dims(d int) (Dims, error) {
	out := Dims{Row: d, Ids: c.Ids, Codes: c.Codes}
	v, err := c.Arch.variant()
	if err != nil {
		return out, err
	}
	if out.Codes, err = v.codes(c); err != nil {
		return out, err
	}
	switch {
	case d < 1 || d > maxRow:
		return out, fmt.Errorf("vectors of %d values cannot be coded", d)
	case out.Codes < 2 || out.Codes > maxCodes:
		return out, fmt.Errorf("codes is %d, must be between 2 and %d", out.Codes, maxCodes)
	case out.Ids < 1 || out.Ids > maxIds:
		return out, fmt.Errorf("ids is %d, must be between 1 and %d", out.Ids, maxIds)
	}
	return out, v.check(c, out)
}

// MinSample is the least number of rows that a Learner's Init needs for codes to begin as.
func (c Config) MinSample(d Dims) int {
	v, err := c.Arch.variant()
	if err != nil {
		return 0
	}
	return v.minSample(d)
}

// Memory is the bytes that a Learner takes, at most: averages and sums of every code in
// 64 bits, weights with gradient and moments, and what is computed of the rows that it
// is given at once, and of the sample of Init.
func (c Config) Memory(d Dims, rows, sample int64) int64 {
	v, err := c.Arch.variant()
	if err != nil {
		return 0
	}
	return v.memory(c, d, rows, sample)
}

// check refuses rows and ids that do not have the sizes.
func (d Dims) check(x []float32, n int, ids []int32) error {
	if len(x) != n*d.Row || len(ids) < n*d.Ids {
		return fmt.Errorf("vq: %d rows of %d values are %d and have %d ids, got %d values and room for %d ids",
			n, d.Row, n*d.Row, n*d.Ids, len(x), len(ids))
	}
	return nil
}

// checkIds is check for ids from outside.
func (d Dims) checkIds(x []float32, n int, ids []int32) error {
	if err := d.check(x, n, ids); err != nil {
		return err
	}
	for i, id := range ids[:n*d.Ids] {
		if id < 0 || int(id) >= d.Codes {
			return fmt.Errorf("vq: id %d of a row is %d, this tokenizer's are 0 to %d", i%d.Ids, id, d.Codes-1)
		}
	}
	return nil
}
