package shard

import (
	"encoding/binary"
	"math"
	"sync"
)

// PackF16 rounds one row of values to IEEE 754 binary16, nearest with ties to even, into little-endian dst
// (2·len(src) bytes), and returns the statistics of that row (Count is 1). Values of magnitude 65520 or more become
// infinite; NaNs keep their sign and the upper bits of their payload and become quiet: bit for bit what the x86
// instruction VCVTPS2PH gives.
//
// One call is one row, because the sum of squares restarts its lanes with each row: see VectorStats, whose definition
// holds for every kernel that stands in for this one. The sum is that of the rounded values. Statistics of several
// rows are those of each row, merged in order.
func PackF16(dst []byte, src []float32) VectorStats {
	var lane [lanes]float64
	s := VectorStats{Count: 1}
	for i, x := range src {
		h := f16FromF32(x)
		binary.LittleEndian.PutUint16(dst[2*i:], h)
		if h&f16Exponent == f16Exponent {
			s.countBad(x)
			continue
		}
		y := float64(f16ToF32(h))
		lane[i%lanes] += y * y
		s.MaxAbs = max(s.MaxAbs, math.Abs(y))
	}
	for _, sum := range lane {
		s.SumSq += sum
	}
	return s
}

// PackF32 stores one row of values as they are, little-endian, into dst (4·len(src) bytes), and returns the statistics
// of that row, with the same sums as PackF16. Nothing overflows.
func PackF32(dst []byte, src []float32) VectorStats {
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
	}
	return measureRow(dst[:4*len(src)], F32)
}

// PackI32 stores one row of whole numbers of magnitude below 2^24, which float32 has exactly, little-endian, into dst
// (4·len(src) bytes), and returns the statistics of that row.
func PackI32(dst []byte, src []float32) VectorStats {
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(int32(x)))
	}
	return measureRow(dst[:4*len(src)], I32)
}

// Unpack reads values of the type as float32 from little-endian src, which holds at least Size·len(dst) bytes: exactly, but
// for whole numbers beyond 2^24.
func (d Dtype) Unpack(dst []float32, src []byte) {
	switch d {
	case F16:
		UnpackF16(dst, src)
	case F32:
		UnpackF32(dst, src)
	case I32:
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	}
}

// countBad counts a source value whose packed form is not finite.
func (s *VectorStats) countBad(x float32) {
	if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
		s.NonFinite++
	} else {
		s.Overflow++
	}
}

// UnpackF16 widens little-endian binary16 values to dst; src holds at least 2·len(dst) bytes. Exact for every value; NaNs
// become quiet, as by the x86 instruction VCVTPH2PS.
func UnpackF16(dst []float32, src []byte) {
	done := widenF16(dst, src)
	unpackF16(dst[done:], src[2*done:])
}

// unpackF16 is UnpackF16 by table, for machines without the instruction and for the last values of a row.
func unpackF16(dst []float32, src []byte) {
	if len(dst) == 0 {
		return
	}
	table := f16Table()
	src = src[:2*len(dst)]
	for len(dst) >= 4 {
		four := binary.LittleEndian.Uint64(src)
		dst[0] = table[uint16(four)]
		dst[1] = table[uint16(four>>16)]
		dst[2] = table[uint16(four>>32)]
		dst[3] = table[uint16(four>>48)]
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = table[binary.LittleEndian.Uint16(src[2*i:])]
	}
}

// UnpackF32 copies little-endian binary32 values to dst; src holds at least 4·len(dst) bytes.
func UnpackF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// f16Table holds the value of each of the 65536 patterns: 256 KiB, which stays in a core's second-level cache.
var f16Table = sync.OnceValue(func() *[1 << 16]float32 {
	var t [1 << 16]float32
	for h := range t {
		t[h] = f16ToF32(uint16(h))
	}
	return &t
})

// f16Exponent is the mask of the exponent bits; all set, the value is infinite or no number.
const f16Exponent = 0x7c00

// f16FromF32 rounds to nearest, ties to even.
func f16FromF32(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN: quiet, upper payload kept
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x47800000: // 65536 and more
		return sign | f16Exponent
	case b >= 0x38800000: // 2^-14 and more: normal; a carry may reach the exponent, and rightly makes infinity
		b += 0xfff + b>>13&1
		return sign | uint16((b-0x38000000)>>13)
	case b >= 0x33000000: // 2^-25 and more: a multiple of 2^-24
		return sign | roundShift(b&0x7fffff|0x800000, 126-b>>23)
	}
	return sign
}

// roundShift is m / 2^n to nearest, ties to even, for n ≥ 1.
func roundShift(m, n uint32) uint16 {
	q, rest, half := m>>n, m&(1<<n-1), uint32(1)<<(n-1)
	if rest > half || rest == half && q&1 == 1 {
		q++
	}
	return uint16(q)
}

// f16ToF32 is exact.
func f16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero and subnormal: fraction · 2^-24
		x := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(x) | sign)
	case 0x1f:
		if fraction != 0 {
			fraction |= 0x200 // quiet
		}
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
