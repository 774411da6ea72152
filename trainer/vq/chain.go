package vq

import (
	"fmt"

	"actfleet/trainer/state"
)

// Chain is a tokenizer without networks: codebooks that take turns at a row. Each
// codes its part of what is left of the row and takes its code away; the parts of
// Product are apart, those of all others are the whole row.
type Chain struct {
	frame
	arch  Arch
	dims  Dims
	books []book // T

	part []float32 // work, [n, w]
	one  []int32   // work, [n]
}

func newChain(arch Arch, dims Dims) *Chain {
	c := &Chain{frame: newFrame(dims.Row), arch: arch, dims: dims}
	for range dims.Ids {
		c.books = append(c.books, newBook(dims.Codes, c.width()))
	}
	return c
}

// width is the length of a code.
func (c *Chain) width() int {
	if c.arch == Product {
		return c.dims.Row / c.dims.Ids
	}
	return c.dims.Row
}

// start is the first column of the part of book t.
func (c *Chain) start(t int) int {
	if c.arch == Product {
		return t * c.width()
	}
	return 0
}

// Dims are the sizes.
func (c *Chain) Dims() Dims { return c.dims }

// Encode writes the ids [n, T] of n rows x [n, D].
func (c *Chain) Encode(x []float32, n int, ids []int32) error {
	if err := c.dims.check(x, n, ids); err != nil {
		return err
	}
	z := c.in(x, n)
	for t := range c.books {
		if _, err := c.stage(z, n, t, ids); err != nil {
			return err
		}
		c.take(z, n, t, ids)
	}
	return nil
}

// stage writes id t of z [n, D] to ids [n, T] and returns the part that was coded,
// [n, w], in memory that the next stage uses again.
func (c *Chain) stage(z []float32, n, t int, ids []int32) (part []float32, err error) {
	part, c.one = c.cut(z, n, t), grow(c.one, n)
	if err := c.books[t].nearest(part, n, c.one); err != nil {
		return nil, err
	}
	for i, k := range c.one {
		ids[i*c.dims.Ids+t] = k
	}
	return part, nil
}

// take takes the code of id t away from z [n, D].
func (c *Chain) take(z []float32, n, t int, ids []int32) {
	for i := range n {
		row := z[i*c.dims.Row+c.start(t):]
		for j, v := range c.books[t].code(int(ids[i*c.dims.Ids+t])) {
			row[j] -= v
		}
	}
}

// cut is the part of z that book t codes, side by side.
func (c *Chain) cut(z []float32, n, t int) []float32 {
	w := c.width()
	if w == c.dims.Row {
		return z
	}
	c.part = grow(c.part, n*w)
	for i := range n {
		copy(c.part[i*w:(i+1)*w], z[i*c.dims.Row+c.start(t):])
	}
	return c.part
}

// Decode writes the rows xhat [n, D] that ids [n, T] stand for.
func (c *Chain) Decode(ids []int32, n int, xhat []float32) error {
	if err := c.dims.checkIds(xhat, n, ids); err != nil {
		return err
	}
	z := xhat[:n*c.dims.Row]
	clear(z)
	for i := range n {
		for t := range c.books {
			row := z[i*c.dims.Row+c.start(t):]
			for j, v := range c.books[t].code(int(ids[i*c.dims.Ids+t])) {
				row[j] += v
			}
		}
	}
	c.out(z)
	return nil
}

// Save writes centre [d], scale and codebook [T, K, w].
func (c *Chain) Save(path string) error {
	return c.files(c.allCodes()).Save(path, map[string]string{"format": "pt", "arch": string(c.arch)})
}

func (c *Chain) allCodes() []float32 {
	var all []float32
	for _, b := range c.books {
		all = append(all, b.codes...)
	}
	return all
}

func (c *Chain) files(codebook []float32) *state.Set {
	s := &state.Set{}
	c.frame.state(s)
	state.Add(s, "codebook", codebook, c.dims.Ids, c.dims.Codes, c.width())
	return s
}

func loadChain(path string, cfg Config, dims Dims) (*Chain, error) {
	size := float64(dims.Ids) * float64(dims.Codes) * float64(dims.Row)
	if cfg.Arch == Product {
		size /= float64(dims.Ids)
	}
	if err := state.Holds(path, 4*size); err != nil {
		return nil, err
	}
	c := newChain(cfg.Arch, dims)
	all := c.allCodes()
	if err := c.files(all).Load(path); err != nil {
		return nil, err
	}
	for t := range c.books {
		copy(c.books[t].codes, all[t*len(c.books[t].codes):])
	}
	if !(c.scale[0] > 0) {
		return nil, fmt.Errorf("load %s: scale is %v, must be above 0", path, c.scale[0])
	}
	return c, nil
}
