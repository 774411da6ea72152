package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

// Codes are the active latents of N rows with their values. Row reads them. With K
// above 0 they are at most K each: row b has Count[b] of them at Idx[b·K:] with the
// values Val[b·K:], all positive.
type Codes struct {
	N, K  int
	Count []int32   // [N]
	Idx   []int32   // [N, K]
	Val   []float32 // [N, K]

	// Rows of any length: row b is first[b]:first[b+1] of Idx and Val, rowOf the row of an entry. first is nil when
	// all rows have room for K.
	first, rowOf []int32
	pre          []float32 // [N, M] memory for the encoder's pre-activations
}

// reset makes room for n rows of k latents.
func (c *Codes) reset(n, k int) {
	c.N, c.K, c.first = n, k, nil
	c.Count = grow(c.Count, n)
	c.Idx, c.Val = grow(c.Idx, n*k), grow(c.Val, n*k)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Row is the active latents of row b and their values.
func (c *Codes) Row(b int) (idx []int32, val []float32) {
	lo := c.at(b)
	hi := lo + int(c.Count[b])
	return c.Idx[lo:hi], c.Val[lo:hi]
}

// rowGrain is the least number of rows worth a goroutine of their own.
const rowGrain = 16

// choose fills the codes from pre-activations [n, m].
func (c *Codes) choose(pre []float32, m int) {
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		s := newSelector(c.K)
		for b := lo; b < hi; b++ {
			at := b * c.K
			c.Count[b] = int32(s.top(pre[b*m:(b+1)*m], c.Idx[at:at+c.K], c.Val[at:at+c.K]))
		}
	})
}

// chooseAmong fills the codes from the latents in among alone.
func (c *Codes) chooseAmong(pre []float32, m int, among []int32) {
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		s, part := newSelector(c.K), make([]float32, len(among))
		for b := lo; b < hi; b++ {
			row := pre[b*m : (b+1)*m]
			for j, i := range among {
				part[j] = row[i]
			}
			at := b * c.K
			c.Count[b] = int32(s.top(part, c.Idx[at:at+c.K], c.Val[at:at+c.K]))
			for j := at; j < at+int(c.Count[b]); j++ {
				c.Idx[j] = among[c.Idx[j]]
			}
		}
	})
}

// addDecoded adds Σ f_i d_i of row b to dst [d], with w [M, d].
func (c *Codes) addDecoded(dst, w []float32, b int) {
	idx, val := c.Row(b)
	torch.Combine(dst, w, idx, val)
}

// ragged makes room for rows whose lengths are in Count.
func (c *Codes) ragged() {
	c.first = grow(c.first, c.N+1)
	c.first[0] = 0
	for b, n := range c.Count[:c.N] {
		c.first[b+1] = c.first[b] + n
	}
	total := int(c.first[c.N])
	c.Idx, c.Val, c.rowOf = grow(c.Idx, total), grow(c.Val, total), grow(c.rowOf, total)
	for b := range c.N {
		for e := c.first[b]; e < c.first[b+1]; e++ {
			c.rowOf[e] = int32(b)
		}
	}
}

// chooseWhere fills the codes with the latents i of a row whose value f(i, a) says to keep.
func (c *Codes) chooseWhere(pre []float32, n, m int, f func(i int, a float32) (v float32, keep bool)) {
	c.N, c.K, c.Count = n, 0, grow(c.Count, n)
	each := func(do func(b, i int, v float32)) {
		parallel.For(n, rowGrain, func(lo, hi int) {
			for b := lo; b < hi; b++ {
				for i, a := range pre[b*m : (b+1)*m] {
					if v, keep := f(i, a); keep {
						do(b, i, v)
					}
				}
			}
		})
	}
	clear(c.Count)
	each(func(b, _ int, _ float32) { c.Count[b]++ })
	c.ragged()
	clear(c.Count)
	each(func(b, i int, v float32) {
		at := c.first[b] + c.Count[b]
		c.Idx[at], c.Val[at] = int32(i), v
		c.Count[b]++
	})
}

// above keeps the latents whose pre-activation is positive and above their threshold; nil is 0.
func (c *Codes) above(pre []float32, n, m int, theta []float32) {
	if theta == nil {
		theta = make([]float32, m)
	}
	c.chooseWhere(pre, n, m, func(i int, a float32) (float32, bool) { return a, a > 0 && a > theta[i] })
}

// rowAt is the row of an entry.
func (c *Codes) rowAt(e int32) int {
	if c.first != nil {
		return int(c.rowOf[e])
	}
	return int(e) / c.K
}

// at is where row b begins in Idx and Val.
func (c *Codes) at(b int) int {
	if c.first != nil {
		return int(c.first[b])
	}
	return b * c.K
}

// byLatent orders the entries of codes by latent: entries[start[i]:start[i+1]] are
// those of latent i, in row order, so that each latent can be summed on its own.
type byLatent struct {
	start   []int32 // [M+1]
	entries []int32 // index into Codes.Val
}

func (o *byLatent) sort(c *Codes, m int) {
	o.start = grow(o.start, m+1)
	clear(o.start)
	for b := range c.N {
		idx, _ := c.Row(b)
		for _, i := range idx {
			o.start[i+1]++
		}
	}
	for i := range m {
		o.start[i+1] += o.start[i]
	}
	o.entries = grow(o.entries, int(o.start[m]))
	next := append([]int32(nil), o.start[:m]...)
	for b := range c.N {
		idx, _ := c.Row(b)
		for j, i := range idx {
			o.entries[next[i]] = int32(c.at(b) + j)
			next[i]++
		}
	}
}

// each hands every latent its entries, several latents at once.
func (o *byLatent) each(f func(i int, entries []int32)) {
	parallel.For(len(o.start)-1, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i, o.entries[o.start[i]:o.start[i+1]])
		}
	})
}
