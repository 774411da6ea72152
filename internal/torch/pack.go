package torch

/*
#cgo CFLAGS: -O3
#cgo noescape af_pack_rows_f16
#cgo nocallback af_pack_rows_f16
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

// PackF16 writes src to dst as little-endian fp16, rounded to nearest, ties to even, and measures it in the same pass:
//
//   - sumsq: Σ x² of the stored values that are finite, in float64. Value i is added to sum i mod 8; the eight sums
//     are added in order at the end. Fast and plain CPUs give the same bits.
//   - maxabs: the largest magnitude of the stored values; where values overflowed, of the finite values of src.
//   - nonfinite: NaNs and infinities of src. overflow: finite values of src that became infinite (65520 and more).
//
// len(dst) must be 2·len(src) or more. It never fails and needs no libtorch.
func PackF16(dst []byte, src []float32) (sumsq, maxabs float64, nonfinite, overflow int64) {
	return PackRowsF16(dst, src, len(src), len(src), wholeRow[:min(len(src), 1)])
}

// PackF32 is [PackF16] for dst as little-endian fp32: a copy with the same statistics; nothing overflows.
// len(dst) must be 4·len(src) or more.
func PackF32(dst []byte, src []float32) (sumsq, maxabs float64, nonfinite, overflow int64) {
	return PackRowsF32(dst, src, len(src), len(src), wholeRow[:min(len(src), 1)])
}

var wholeRow = []int32{0}

// PackRowsF16 packs the rows of src at index one after the other into dst, as [PackF16] would pack them joined. Row i
// of src is the width values from i·stride on: with stride = width, src is [B, T, D] and the index b·T+t.
func PackRowsF16(dst []byte, src []float32, stride, width int, index []int32) (sumsq, maxabs float64, nonfinite, overflow int64) {
	if !packable(dst, 2, src, stride, width, index) {
		return 0, 0, 0, 0
	}
	var p C.af_pack
	C.af_pack_rows_f16(&p, (*C.uint16_t)(unsafe.Pointer(&dst[0])), (*C.float)(&src[0]), C.int64_t(stride), C.int64_t(width),
		(*C.int32_t)(&index[0]), C.int64_t(len(index)), fastPack)
	if p.overflow == 0 {
		maxabs = roundF16(float64(p.maxabs))
	} else {
		maxabs = float64(p.maxabs)
	}
	return total(&p), maxabs, int64(p.nonfinite), int64(p.overflow)
}

// PackRowsF32 is [PackRowsF16] for dst as little-endian fp32.
func PackRowsF32(dst []byte, src []float32, stride, width int, index []int32) (sumsq, maxabs float64, nonfinite, overflow int64) {
	if !packable(dst, 4, src, stride, width, index) {
		return 0, 0, 0, 0
	}
	var p C.af_pack
	C.af_pack_rows_f32(&p, (*C.float)(unsafe.Pointer(&dst[0])), (*C.float)(&src[0]), C.int64_t(stride), C.int64_t(width),
		(*C.int32_t)(&index[0]), C.int64_t(len(index)), fastPack)
	return total(&p), float64(p.maxabs), int64(p.nonfinite), 0
}

// packable reports whether there is anything to pack; what does not fit is a programmer's error and panics as a
// slice index out of range does.
func packable(dst []byte, size int, src []float32, stride, width int, index []int32) bool {
	if len(index) == 0 || width == 0 {
		return false
	}
	_ = dst[:len(index)*width*size]
	for _, i := range index {
		_ = src[int(i)*stride : int(i)*stride+width]
	}
	return true
}

func total(p *C.af_pack) (sum float64) {
	for _, lane := range p.sumsq {
		sum += float64(lane)
	}
	return sum
}

// roundF16 rounds x, 0..65504, to fp16's precision: 11 bits, or multiples of 2⁻²⁴.
func roundF16(x float64) float64 {
	_, exp := math.Frexp(x)
	step := math.Ldexp(1, max(exp-11, -24))
	return math.RoundToEven(x/step) * step
}
