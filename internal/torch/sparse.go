package torch

/*
#cgo LDFLAGS: -lm
#cgo noescape af_combine
#cgo nocallback af_combine
#cgo noescape af_dots
#cgo nocallback af_dots
#cgo noescape af_adam
#cgo nocallback af_adam
#include "sparse.h"
*/
import "C"

import "unsafe"

// The kernels of this file run on the calling thread and need no libtorch.

// Combine adds Σ a_k x[rows_k] to y [D], in the order of k, where x is [N, D]. A row outside x panics,
// as an index of a slice does.
func Combine(y, x []float32, rows []int32, a []float32) {
	if len(rows) == 0 || len(y) == 0 {
		return
	}
	inside(x, len(y), rows)
	a = a[:len(rows)]
	C.af_combine((*C.float)(&y[0]), C.int64_t(len(y)), (*C.float)(&x[0]), (*C.int32_t)(&rows[0]), (*C.float)(&a[0]), C.int64_t(len(rows)))
}

// Dots sets out_k to scale·⟨y, x[rows_k]⟩, y [D] and x [N, D].
func Dots(out, y, x []float32, rows []int32, scale float32) {
	if len(rows) == 0 || len(y) == 0 {
		return
	}
	inside(x, len(y), rows)
	out = out[:len(rows)]
	C.af_dots((*C.float)(&out[0]), (*C.float)(&y[0]), C.int64_t(len(y)), (*C.float)(&x[0]), (*C.int32_t)(&rows[0]), C.float(scale), C.int64_t(len(rows)))
}

// inside panics unless rows of d values of x are.
func inside(x []float32, d int, rows []int32) {
	n := uint(len(x) / d)
	for _, r := range rows {
		if uint(r) >= n {
			_ = x[int(r)*d] // panics as an index does
			panic("torch: a row outside the matrix")
		}
	}
}

// Adam is the constants of one step of Adam: Keep is what weight decay leaves, LR and Root correct the
// bias of the moments.
type Adam struct{ B1, B2, Scale, LR, Root, Eps, Keep float32 }

// Step takes the step with g = Scale·grad:
//
//	m ← B1 m + (1−B1) g,  v ← B2 v + (1−B2) g²,  w ← Keep w − LR m/(√(v Root) + Eps)
func (c Adam) Step(w, grad, m, v []float32) {
	if len(w) == 0 {
		return
	}
	grad, m, v = grad[:len(w)], m[:len(w)], v[:len(w)]
	C.af_adam((*C.float)(&w[0]), (*C.float)(&grad[0]), (*C.float)(&m[0]), (*C.float)(&v[0]), C.int64_t(len(w)),
		(*C.af_adam_constants)(unsafe.Pointer(&c)))
}
