package vq

import "actfleet/trainer/state"

// Codebooks is a tokenizer without networks: T codebooks that take turns at a row. Each
// codes its part of what the ones before it left, and takes its code away.
type Codebooks struct {
	standardizer
	arch  Arch
	dims  Dims
	width int        // w, the length of a code
	from  []int      // [T] first column of the part that each codebook codes
	codes []float32  // [T, K, w]
	books []codebook // T, each in its part of codes

	part []float32 // work, [n, w]
	one  []int32   // work, [n]
}

func newCodebooks(a codebooksArch, c Config, d Dims) *Codebooks {
	out := &Codebooks{standardizer: newStandardizer(d.Row), arch: c.Arch, dims: d}
	_, out.width = a.part(d, 0)
	size := d.Codes * out.width
	out.codes = make([]float32, d.Ids*size)
	for t := range d.Ids {
		from, _ := a.part(d, t)
		out.from = append(out.from, from)
		out.books = append(out.books, codebook{k: d.Codes, w: out.width, codes: out.codes[t*size : (t+1)*size]})
	}
	return out
}

// Dims are the sizes.
func (c *Codebooks) Dims() Dims { return c.dims }

// Encode writes the ids [n, T] of n rows x [n, D].
func (c *Codebooks) Encode(x []float32, n int, ids []int32) error {
	if err := c.dims.check(x, n, ids); err != nil {
		return err
	}
	z := c.apply(x, n)
	for t := range c.books {
		if _, err := c.encode(z, n, t, ids); err != nil {
			return err
		}
		c.subtract(z, n, t, ids)
	}
	return nil
}

// encode writes id t of z [n, D] to ids [n, T] and returns the part that was coded,
// [n, w], in memory that the next call uses again.
func (c *Codebooks) encode(z []float32, n, t int, ids []int32) (part []float32, err error) {
	part, c.one = c.partOf(z, n, t), grow(c.one, n)
	if err := c.books[t].ids(part, n, c.one); err != nil {
		return nil, err
	}
	for i, k := range c.one {
		ids[i*c.dims.Ids+t] = k
	}
	return part, nil
}

// subtract takes the code of id t away from z [n, D].
func (c *Codebooks) subtract(z []float32, n, t int, ids []int32) {
	for i := range n {
		row := z[i*c.dims.Row+c.from[t]:]
		for j, v := range c.books[t].code(int(ids[i*c.dims.Ids+t])) {
			row[j] -= v
		}
	}
}

// partOf is the part of z that codebook t codes, side by side.
func (c *Codebooks) partOf(z []float32, n, t int) []float32 {
	w := c.width
	if w == c.dims.Row {
		return z
	}
	c.part = grow(c.part, n*w)
	for i := range n {
		copy(c.part[i*w:(i+1)*w], z[i*c.dims.Row+c.from[t]:])
	}
	return c.part
}

// Decode writes the rows xhat [n, D] that ids [n, T] stand for.
func (c *Codebooks) Decode(ids []int32, n int, xhat []float32) error {
	if err := c.dims.checkIds(xhat, n, ids); err != nil {
		return err
	}
	z := xhat[:n*c.dims.Row]
	clear(z)
	for i := range n {
		for t := range c.books {
			row := z[i*c.dims.Row+c.from[t]:]
			for j, v := range c.books[t].code(int(ids[i*c.dims.Ids+t])) {
				row[j] += v
			}
		}
	}
	c.invert(z)
	return nil
}

// Save writes centre [D], scale and codebook [T, K, w].
func (c *Codebooks) Save(path string) error { return save(c, c.arch, path) }

func (c *Codebooks) files() *state.Set {
	s := &state.Set{}
	c.standardizer.state(s)
	state.Add(s, "codebook", c.codes, c.dims.Ids, c.dims.Codes, c.width)
	return s
}

// codebooksArch is what one architecture of Codebooks has that others have not.
type codebooksArch interface {
	defaults() Defaults
	check(c Config, d Dims) error
	// part is the columns that codebook t codes, as many of every one.
	part(d Dims, t int) (from, width int)
	// rule moves the codes of one codebook.
	rule(s *codebookStats) updateRule
}

// codebooksVariant makes a variant of a codebooksArch.
type codebooksVariant struct{ codebooksArch }

func (codebooksVariant) codes(c Config) (int, error) { return c.Codes, nil }

func (codebooksVariant) minSample(d Dims) int { return d.Codes }

func (v codebooksVariant) weights(_ Config, d Dims) float64 {
	_, w := v.part(d, 0)
	return float64(d.Ids) * float64(d.Codes) * float64(w)
}

func (v codebooksVariant) memory(c Config, d Dims, rows, sample int64) int64 {
	k, row := int64(d.Codes), int64(d.Row)
	return int64(v.weights(c, d))*(4+4*3+3*8) + rows*(k+4*row)*4 + sample*(row+k)*4
}

func (v codebooksVariant) coder(c Config, d Dims) (loadable, error) {
	return newCodebooks(v.codebooksArch, c, d), nil
}

func (v codebooksVariant) learner(c Config, d Dims) (Learner, error) {
	if err := c.checkAverages(); err != nil {
		return nil, err
	}
	return newCodebooksLearner(v.codebooksArch, c, d), nil
}
