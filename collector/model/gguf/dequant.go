package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// kLayouts are the plain types and the K-quants.
var kLayouts = map[Dtype]layout{
	F32:  {"F32", 1, 4, readF32},
	F16:  {"F16", 1, 2, readF16},
	BF16: {"BF16", 1, 2, readBF16},
	Q4_0: {"Q4_0", 32, 18, readQ4Zero},
	Q4_1: {"Q4_1", 32, 20, readQ4One},
	Q5_0: {"Q5_0", 32, 22, readQ5Zero},
	Q5_1: {"Q5_1", 32, 24, readQ5One},
	Q8_0: {"Q8_0", 32, 34, readQ8Zero},
	Q4K:  {"Q4_K", 256, 144, readQ4K},
	Q5K:  {"Q5_K", 256, 176, readQ5K},
	Q6K:  {"Q6_K", 256, 210, readQ6K},
}

// Dequantize reads len(dst) values of type d from src. It fails with ErrCorrupt
// when src has another length than so many values take.
func Dequantize(dst []float32, src []byte, d Dtype) error {
	l, ok := layouts[d]
	if !ok {
		return fmt.Errorf("%w: %s", ErrUnsupported, d)
	}
	if len(dst)%l.values != 0 || len(src) != len(dst)/l.values*l.bytes {
		return fmt.Errorf("%w: %d bytes are not %d values of %s", ErrCorrupt, len(src), len(dst), d)
	}
	if l.values == 1 {
		l.read(dst, src)
		return nil
	}
	for len(dst) > 0 {
		l.read(dst[:l.values], src[:l.bytes])
		dst, src = dst[l.values:], src[l.bytes:]
	}
	return nil
}

func readF32(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

func readF16(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = half(b[2*i:])
	}
}

func readBF16(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
	}
}

// half is the IEEE 754 binary16 number in the first two bytes.
func half(b []byte) float32 {
	h := uint32(binary.LittleEndian.Uint16(b))
	sign, exp, frac := h>>15<<31, h>>10&31, h&1023
	switch exp {
	case 0: // zero and subnormal: frac·2⁻²⁴
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// The products below are rounded to float32 before the sum, as ggml does: a fused
// multiply-add would give other bits.

// readQ4Zero: scale d; 16 bytes whose low halves are values 0–15, high ones 16–31.
func readQ4Zero(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// readQ4One: scale d, minimum m, 16 bytes as in Q4_0.
func readQ4One(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i, q := range b[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// readQ5Zero: scale d, the fifth bits of the 32 values, 16 bytes as in Q4_0.
func readQ5Zero(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		dst[i] = d * float32(int(uint32(q&15)|high>>i&1<<4)-16)
		dst[i+16] = d * float32(int(uint32(q>>4)|high>>(i+16)&1<<4)-16)
	}
}

// readQ5One: scale d, minimum m, fifth bits, 16 bytes.
func readQ5One(dst []float32, b []byte) {
	d, m, high := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		dst[i] = float32(d*float32(uint32(q&15)|high>>i&1<<4)) + m
		dst[i+16] = float32(d*float32(uint32(q>>4)|high>>(i+16)&1<<4)) + m
	}
}

// readQ8Zero: scale d, 32 signed bytes.
func readQ8Zero(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// scaleMin unpacks the scale and the minimum, six bits each, of sub-block j of the
// eight in a block of Q4_K or Q5_K.
func scaleMin(j int, b []byte) (scale, low float32) {
	if j < 4 {
		return float32(b[j] & 63), float32(b[j+4] & 63)
	}
	return float32(b[j+4]&15 | b[j-4]>>6<<4), float32(b[j+4]>>4 | b[j]>>6<<4)
}

// readQ4K: d, dmin, 12 bytes of scales and minima, 128 bytes of which each 32 hold
// two sub-blocks: the low halves the first, the high ones the second.
func readQ4K(dst []float32, b []byte) {
	d, dmin, scales := half(b), half(b[2:]), b[4:16]
	for j := range 8 {
		s, m := scaleMin(j, scales)
		s, m = d*s, dmin*m
		out := dst[32*j : 32*j+32]
		shift := 4 * (j & 1)
		for i, q := range b[16+32*(j/2) : 48+32*(j/2)] {
			out[i] = float32(s*float32(q>>shift&15)) - m
		}
	}
}

// readQ5K: as Q4_K, with 32 bytes of fifth bits before the values: bit j of byte i
// belongs to value i of sub-block j.
func readQ5K(dst []float32, b []byte) {
	d, dmin, scales, high := half(b), half(b[2:]), b[4:16], b[16:48]
	for j := range 8 {
		s, m := scaleMin(j, scales)
		s, m = d*s, dmin*m
		out := dst[32*j : 32*j+32]
		shift := 4 * (j & 1)
		for i, q := range b[48+32*(j/2) : 80+32*(j/2)] {
			out[i] = float32(s*float32(q>>shift&15|high[i]>>j&1<<4)) - m
		}
	}
}

// readQ6K: 128 bytes of low halves, 64 of the upper two bits, 16 signed scales of 16
// values each, d. Each half of the block holds 128 values in four groups of 32: their
// low halves lie in 64 bytes, their upper bits in 32.
func readQ6K(dst []float32, b []byte) {
	scales, d := b[192:208], half(b[208:])
	for part := range 2 {
		low, high := b[64*part:64*part+64], b[128+32*part:160+32*part]
		for group := range 4 {
			first := 128*part + 32*group
			nibbles := low[32*(group&1):]
			for i := range 32 {
				q := nibbles[i]>>(4*(group>>1))&15 | high[i]>>(2*group)&3<<4
				s := d * float32(int8(scales[(first+i)/16]))
				dst[first+i] = s * float32(int(q)-32)
			}
		}
	}
}
