package vq

import (
	"fmt"

	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// Coder turns rows into ids and back. One goroutine uses it.
type Coder interface {
	// Dims are its sizes.
	Dims() Dims
	// Encode writes the ids [n, T] of n rows x [n, D].
	Encode(x []float32, n int, ids []int32) error
	// Decode writes the n rows xhat [n, D] that ids [n, T] stand for.
	Decode(ids []int32, n int, xhat []float32) error
	// Save writes a file that Load reads.
	Save(path string) error
}

var (
	_ Coder = (*Chain)(nil)
	_ Coder = (*Codec)(nil)
)

// Load reads what Save wrote for vectors of length d.
func Load(path string, d int, cfg Config) (Coder, error) {
	if _, err := ParseArch(string(cfg.Arch)); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	dims, err := cfg.Dims(d)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if cfg.Arch.Nets() {
		return loadCodec(path, cfg, dims)
	}
	return loadChain(path, cfg, dims)
}

// check refuses rows and ids that do not have the sizes.
func (d Dims) check(x []float32, n int, ids []int32) error {
	if len(x) != n*d.Row || len(ids) < n*d.Ids {
		return fmt.Errorf("vq: %d rows of %d values are %d and have %d ids, got %d values and room for %d ids", n, d.Row, n*d.Row, n*d.Ids, len(x), len(ids))
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

// frame brings rows to a mean of 0 and a mean square of 1 over the sample:
// z = (x − centre)/scale. A column that never changes becomes 0.
type frame struct {
	centre []float32 // [D]
	scale  []float32 // one element, the same for all columns

	z []float32 // work, [n, D]
}

func newFrame(d int) frame { return frame{centre: make([]float32, d), scale: []float32{1}} }

// in is z of n rows, in memory that the next call uses again.
func (f *frame) in(x []float32, n int) []float32 {
	d, s := len(f.centre), f.scale[0]
	f.z = grow(f.z, n*d)
	parallel.For(n, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j, c := range f.centre {
				f.z[i*d+j] = (x[i*d+j] - c) / s
			}
		}
	})
	return f.z
}

// out turns z into x, in place.
func (f *frame) out(z []float32) {
	d, s := len(f.centre), f.scale[0]
	for i := range z {
		z[i] = z[i]*s + f.centre[i%d]
	}
}

func (f *frame) state(s *state.Set) {
	state.Add(s, "centre", f.centre)
	state.Add(s, "scale", f.scale)
}

// rowGrain is the least number of rows worth a goroutine of their own.
const rowGrain = 64

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
