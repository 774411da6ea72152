package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrCorrupt marks a file that is not a whole, consistent safetensors checkpoint.
var ErrCorrupt = errors.New("corrupt safetensors file")

// Dtype is the element type of a tensor as the format spells it.
type Dtype string

// The element types this package knows. Sub-byte types are refused.
const (
	Bool   Dtype = "BOOL"
	U8     Dtype = "U8"
	I8     Dtype = "I8"
	F8E5M2 Dtype = "F8_E5M2"
	F8E4M3 Dtype = "F8_E4M3"
	F8E8M0 Dtype = "F8_E8M0"
	U16    Dtype = "U16"
	I16    Dtype = "I16"
	F16    Dtype = "F16"
	BF16   Dtype = "BF16"
	U32    Dtype = "U32"
	I32    Dtype = "I32"
	F32    Dtype = "F32"
	U64    Dtype = "U64"
	I64    Dtype = "I64"
	F64    Dtype = "F64"
	C64    Dtype = "C64"
)

// Size is the number of bytes of one element, 0 for an unknown dtype.
func (d Dtype) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0:
		return 1
	case U16, I16, F16, BF16:
		return 2
	case U32, I32, F32:
		return 4
	case U64, I64, F64, C64:
		return 8
	}
	return 0
}

// ToFloat32 converts raw little-endian elements of dtype F16, BF16, F32 or F64
// to float32. Other dtypes, and a length that is no whole number of elements, are
// errors.
func ToFloat32(d Dtype, raw []byte) ([]float32, error) {
	var at func(i int) float32
	switch d {
	case F32:
		at = func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])) }
	case F64:
		at = func(i int) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))) }
	case F16:
		at = func(i int) float32 { return halfToFloat(binary.LittleEndian.Uint16(raw[2*i:])) }
	case BF16:
		at = func(i int) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	default:
		return nil, fmt.Errorf("dtype %s has no float32 form here", d)
	}
	if len(raw)%d.Size() != 0 {
		return nil, fmt.Errorf("%d bytes are no whole number of %s", len(raw), d)
	}
	out := make([]float32, len(raw)/d.Size())
	for i := range out {
		out[i] = at(i)
	}
	return out, nil
}

// halfToFloat widens an IEEE 754 binary16 value; every value is exact.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case 0:
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
