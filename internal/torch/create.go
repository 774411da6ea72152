package torch

/*
#cgo noescape af_from
#cgo noescape af_randn
#cgo noescape af_rand
#cgo noescape af_full
#include "shim/shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// FromFloat32 is a copy of data as an F32 tensor on the CPU.
func FromFloat32(s *Scope, data []float32, dims ...int64) *Tensor {
	return from(s, "FromFloat32", data, F32, dims)
}

// FromInt64 is a copy of data as an I64 tensor on the CPU.
func FromInt64(s *Scope, data []int64, dims ...int64) *Tensor {
	return from(s, "FromInt64", data, I64, dims)
}

// FromInt32 is a copy of data as an I32 tensor on the CPU.
func FromInt32(s *Scope, data []int32, dims ...int64) *Tensor {
	return from(s, "FromInt32", data, I32, dims)
}

// FromBools is a copy of data as a Bool tensor on the CPU.
func FromBools(s *Scope, data []bool, dims ...int64) *Tensor {
	return from(s, "FromBools", data, Bool, dims)
}

func from[E any](s *Scope, op string, data []E, dtype Dtype, dims []int64) *Tensor {
	fits(op, int64(len(data)), dims)
	t := new(Tensor)
	p := unsafe.Pointer(unsafe.SliceData(data))
	return s.made(op, t, C.af_from(t.out(), p, sizes(dims), C.int(len(dims)), C.int(dtype)))
}

// Wrap is a tensor over data itself, on the CPU: what writes to the one writes to the other. The caller keeps data
// alive and where it is until the tensor and its views are freed; a scope does so for Go memory itself.
func Wrap(s *Scope, data []byte, dtype Dtype, dims ...int64) *Tensor {
	size := dtype.Size()
	if size == 0 || int64(len(data))%size != 0 {
		fail("Wrap", fmt.Sprintf("%d bytes are no whole elements of %s", len(data), dtype))
	}
	fits("Wrap", int64(len(data))/size, dims)
	t := new(Tensor)
	p := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(p)%uintptr(size) != 0 {
		fail("Wrap", fmt.Sprintf("the bytes start at an address that is no multiple of %d", size))
	}
	if p != nil {
		s.pins.Pin(p)
	}
	return s.made("Wrap", t, C.af_wrap(t.out(), p, sizes(dims), C.int(len(dims)), C.int(dtype)))
}

// WrapFloat32 is [Wrap] for F32 memory.
func WrapFloat32(s *Scope, data []float32, dims ...int64) *Tensor {
	return Wrap(s, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data)), F32, dims...)
}

// WrapFloat64 is [Wrap] for F64 memory.
func WrapFloat64(s *Scope, data []float64, dims ...int64) *Tensor {
	return Wrap(s, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 8*len(data)), F64, dims...)
}

// fits fails unless dims describe n elements.
func fits(op string, n int64, dims []int64) {
	want := int64(1)
	for _, d := range dims {
		if d < 0 || (d > 0 && want > (1<<62)/d) {
			fail(op, fmt.Sprintf("shape %v", dims))
		}
		want *= d
	}
	if want != n {
		fail(op, fmt.Sprintf("%d elements do not make the shape %v", n, dims))
	}
}

func sizes(dims []int64) *C.int64_t { return (*C.int64_t)(unsafe.SliceData(ints(dims))) }

// Zeros is a tensor of zeros.
func (s *Scope) Zeros(dtype Dtype, d Device, dims ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgZeros(&t.c, ints(dims), len(dims), int32(dtype), int32(d))
	return s.own("Zeros", t)
}

// Ones is a tensor of ones.
func (s *Scope) Ones(dtype Dtype, d Device, dims ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgOnes(&t.c, ints(dims), len(dims), int32(dtype), int32(d))
	return s.own("Ones", t)
}

// Full is a tensor of v.
func (s *Scope) Full(v float64, dtype Dtype, d Device, dims ...int64) *Tensor {
	t := new(Tensor)
	return s.made("Full", t, C.af_full(t.out(), C.double(v), C.int(dtype), C.int(d), sizes(dims), C.int(len(dims))))
}

// Eye is the unit matrix [n, n].
func (s *Scope) Eye(n int64, dtype Dtype, d Device) *Tensor {
	t := new(Tensor)
	lib.AtgEye(&t.c, n, int32(dtype), int32(d))
	return s.own("Eye", t)
}

// Arange is from, from+1, … below to (for a float dtype computed as from + i).
func (s *Scope) Arange(from, to int64, dtype Dtype, d Device) *Tensor {
	t := new(Tensor)
	return s.made("Arange", t, C.af_arange(t.out(), C.double(from), C.double(to), 1, C.int(dtype), C.int(d)))
}

// Randn is normal numbers with mean 0 and variance 1, F32 on the CPU, a pure function of seed and shape.
func (s *Scope) Randn(seed int64, dims ...int64) *Tensor {
	t := new(Tensor)
	return s.made("Randn", t, C.af_randn(t.out(), C.int64_t(seed), sizes(dims), C.int(len(dims))))
}

// Rand is uniform numbers of [0, 1), F32 on the CPU, a pure function of seed and shape.
func (s *Scope) Rand(seed int64, dims ...int64) *Tensor {
	t := new(Tensor)
	return s.made("Rand", t, C.af_rand(t.out(), C.int64_t(seed), sizes(dims), C.int(len(dims))))
}

// Randperm is the numbers 0..n-1 in random order, I64 on the CPU, a pure function of seed and n.
func (s *Scope) Randperm(seed, n int64) *Tensor {
	t := new(Tensor)
	return s.made("Randperm", t, C.af_randperm(t.out(), C.int64_t(seed), C.int64_t(n)))
}
