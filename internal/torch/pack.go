package torch

/*
#cgo CFLAGS: -O3
#cgo noescape af_pack_rows_f16
#cgo nocallback af_pack_rows_f16
#cgo noescape af_pack_halves
#cgo nocallback af_pack_halves
#cgo noescape af_pack_rows_f32
#cgo nocallback af_pack_rows_f32
#include "pack.h"
*/
import "C"

import (
	"math"
	"unsafe"
)

// fastPack says whether the CPU has the instructions of the fast path. Tests switch it off.
var fastPack = C.af_pack_fast()

// Packed is what packing measures, added up over calls:
//
//   - MaxAbs: the largest magnitude of the stored values; where values overflowed, of the finite values of src.
//   - NonFinite: NaNs and infinities of src. Overflow: finite values of src that became infinite (65520 and more).
type Packed struct {
	MaxAbs              float64
	NonFinite, Overflow int64
}

// RowsF16 packs rows of src one after the other into dst as little-endian fp16, rounded to nearest, ties to even, and
// measures them in the same pass. The rows are those at index; row i is the width values from i·stride on: with
// stride = width, src is [B, T, D] and the index b·T+t. sums[k] becomes Σ x² of the k-th packed row, over its stored
// values that are finite, in float64: value i is added to sum i mod 8, and the eight sums in order. Fast and plain
// CPUs give the same bits. It never fails and needs no libtorch.
func (m *Packed) RowsF16(dst []byte, src []float32, stride, width int, index []int32, sums []float64) {
	if !packable(dst, 2, src, stride, width, index, sums) {
		return
	}
	var p C.af_pack
	C.af_pack_rows_f16(&p, (*C.uint16_t)(unsafe.Pointer(&dst[0])), (*C.float)(&src[0]), C.int64_t(stride), C.int64_t(width),
		(*C.int32_t)(&index[0]), C.int64_t(len(index)), (*C.double)(&sums[0]), fastPack)
	most := float64(p.maxabs)
	if p.overflow == 0 {
		most = roundF16(most)
	}
	m.add(&p, most)
}

// RowsF32 is [Packed.RowsF16] for dst as little-endian fp32: a copy with the same statistics; nothing overflows.
func (m *Packed) RowsF32(dst []byte, src []float32, stride, width int, index []int32, sums []float64) {
	if !packable(dst, 4, src, stride, width, index, sums) {
		return
	}
	var p C.af_pack
	C.af_pack_rows_f32(&p, (*C.float)(unsafe.Pointer(&dst[0])), (*C.float)(&src[0]), C.int64_t(stride), C.int64_t(width),
		(*C.int32_t)(&index[0]), C.int64_t(len(index)), (*C.double)(&sums[0]), fastPack)
	m.add(&p, float64(p.maxabs))
}

// Halves copies rows of width little-endian fp16 values, which lie one after the other in src, into dst, and measures
// them as [Packed.RowsF16] measures what it stores. What is infinite counts as NonFinite: whether it overflowed when
// it was rounded, src does not say.
func (m *Packed) Halves(dst, src []byte, width int, sums []float64) {
	rows := len(sums)
	if rows == 0 || width == 0 {
		return
	}
	_, _ = dst[:rows*width*2], src[:rows*width*2]
	var p C.af_pack
	C.af_pack_halves(&p, (*C.uint16_t)(unsafe.Pointer(&dst[0])), (*C.uint16_t)(unsafe.Pointer(&src[0])), C.int64_t(width), C.int64_t(rows),
		(*C.double)(&sums[0]), fastPack)
	m.add(&p, float64(p.maxabs))
}

func (m *Packed) add(p *C.af_pack, most float64) {
	m.MaxAbs = max(m.MaxAbs, most)
	m.NonFinite += int64(p.nonfinite)
	m.Overflow += int64(p.overflow)
}

// packable reports whether there is anything to pack; what does not fit is a programmer's error and panics as a
// slice index out of range does.
func packable(dst []byte, size int, src []float32, stride, width int, index []int32, sums []float64) bool {
	if len(index) == 0 || width == 0 {
		return false
	}
	_, _ = dst[:len(index)*width*size], sums[:len(index)]
	for _, i := range index {
		_ = src[int(i)*stride : int(i)*stride+width]
	}
	return true
}

// roundF16 rounds x, 0..65504, to fp16's precision: 11 bits, or multiples of 2⁻²⁴.
func roundF16(x float64) float64 {
	_, exp := math.Frexp(x)
	step := math.Ldexp(1, max(exp-11, -24))
	return math.RoundToEven(x/step) * step
}
