package torch

/*
#cgo noescape af_bag
#cgo noescape af_bag_dots
#cgo noescape af_bag_grad
#include "shim/shim.h"
*/
import "C"

// A bag is a sum of few rows of a matrix. The bags of N rows are lists of entries, one after another: of entry e the
// number index[e] of a row of the matrix, its weight, and the bag's own number rowOf[e], all [E] and I64 but for weights.

// Bag is, for every one of N rows, Σ weights[e] w[index[e]] over its entries, which begin at first[row] (I64 [N], first[0]
// is 0): [N, D] for w [V, D]. Autograd knows it for w and weights.
func (s *Scope) Bag(w, index, first, rowOf, weights *Tensor) *Tensor {
	t := new(Tensor)
	return s.made("Bag", t, C.af_bag(t.out(), w.raw("Bag"), index.raw("Bag"), first.raw("Bag"), rowOf.raw("Bag"), weights.raw("Bag")))
}

// BagDots is ⟨rows[rowOf[e]], w[index[e]]⟩ for every entry, [E]: the gradient of Σ ⟨rows[i], Bag[i]⟩ for its weights.
func (s *Scope) BagDots(rows, w, index, first, rowOf *Tensor) *Tensor {
	t := new(Tensor)
	return s.made("BagDots", t, C.af_bag_dots(t.out(), rows.raw("BagDots"), w.raw("BagDots"), index.raw("BagDots"), first.raw("BagDots"), rowOf.raw("BagDots")))
}

// BagGrad is the gradient of Σ ⟨rows[i], Bag[i]⟩ for the matrix: at j, Σ weights[e] rows[rowOf[e]] over the entries with
// index[e] = j: [v, D] for rows [N, D].
func (s *Scope) BagGrad(rows, index, rowOf, weights *Tensor, v int64) *Tensor {
	t := new(Tensor)
	return s.made("BagGrad", t, C.af_bag_grad(t.out(), rows.raw("BagGrad"), index.raw("BagGrad"), rowOf.raw("BagGrad"), weights.raw("BagGrad"), C.int64_t(v)))
}
