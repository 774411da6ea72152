package sae

import "actfleet/trainer/parallel"

// Rows of codes may have different lengths: row b then lies at first[b]:first[b+1] of Idx and Val,
// and rowOf names the row of an entry.

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
