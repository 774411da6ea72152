package sae

import (
	"gonum.org/v1/gonum/blas/gonum"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

var blas gonum.Implementation

// axpy adds a·x to y.
func axpy(a float32, x, y []float32) { blas.Saxpy(len(x), a, x, 1, y, 1) }

func dot(x, y []float32) float32 { return blas.Sdot(len(x), x, 1, y, 1) }

// Codes are the active latents of N rows with their values. Row reads them. With K
// above 0 they are at most K each: row b has Count[b] of them at Idx[b·K:] with the
// values Val[b·K:], all positive.
type Codes struct {
	N, K  int
	Count []int32   // [N]
	Idx   []int32   // [N, K]
	Val   []float32 // [N, K]

	first, rowOf []int32   // of rows of different lengths; first is nil when all have room for K
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
func (c *Codes) Row(b int) (idx []int32, val []float32) { return c.row(b) }

// row is the active latents of row b.
func (c *Codes) row(b int) (idx []int32, val []float32) {
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
	idx, val := c.row(b)
	torch.Combine(dst, w, idx, val)
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
		idx, _ := c.row(b)
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
		idx, _ := c.row(b)
		for j, i := range idx {
			o.entries[next[i]] = int32(c.at(b) + j)
			next[i]++
		}
	}
}
