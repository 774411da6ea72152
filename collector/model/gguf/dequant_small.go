package gguf

import (
	"encoding/binary"
	"math"
)

// smallLayouts are the ternary and the four-bit floating types.
var smallLayouts = map[Dtype]layout{
	10: {"Q2_K", 256, 84, readQ2K},
	11: {"Q3_K", 256, 110, readQ3K},
	15: {"Q8_K", 256, 292, readQ8K},
	34: {"TQ1_0", 256, 54, readTQ1},
	35: {"TQ2_0", 256, 66, readTQ2},
	39: {"MXFP4", 32, 17, readMXFP4},
	40: {"NVFP4", 64, 36, readNVFP4},
}

// readQ2K: 16 scales and minima of four bits; 64 bytes of which each 32 hold 128 values, two bits each; d, dmin.
func readQ2K(dst []float32, b []byte) {
	d, dmin := half(b[80:]), half(b[82:])
	for i := range 16 {
		scale, low := d*float32(b[i]&15), dmin*float32(b[i]>>4)
		from := b[16+i/8*32+i%2*16:][:16]
		for k, q := range from {
			dst[16*i+k] = float32(scale*float32(q>>(i%8/2*2)&3)) - low
		}
	}
}

// readQ3K: 32 bytes of third bits; 64 bytes as in Q2_K; 16 scales of six bits in 12 bytes; d.
func readQ3K(dst []float32, b []byte) {
	scales, d := b[96:108], half(b[108:])
	for i := range 16 {
		scale := d * float32(int(scales[i%8]>>(i/8*4)&15|scales[8+i%4]>>(i/4*2)&3<<4)-32)
		low, high := b[32+i/8*32+i%2*16:], b[i%2*16:]
		for k := range 16 {
			q := int(low[k] >> (i % 8 / 2 * 2) & 3)
			if high[k]>>(i/2)&1 == 0 {
				q -= 4
			}
			dst[16*i+k] = scale * float32(q)
		}
	}
}

// readQ8K: d as a 32-bit float, 256 signed bytes, and sums that nothing here needs.
func readQ8K(dst []float32, b []byte) {
	d := math.Float32frombits(binary.LittleEndian.Uint32(b))
	for i, q := range b[4:260] {
		dst[i] = d * float32(int8(q))
	}
}

// readTQ1: three values to a digit of base 3: 48 bytes of five digits, four of four; d.
func readTQ1(dst []float32, b []byte) {
	d := half(b[52:])
	at := 0
	put := func(bytes []byte, digits int) {
		power := byte(1)
		for range digits {
			for _, q := range bytes {
				dst[at] = d * float32(int(uint16(q*power)*3>>8)-1)
				at++
			}
			power *= 3
		}
	}
	put(b[:32], 5)
	put(b[32:48], 5)
	put(b[48:52], 4)
}

// readTQ2: 64 bytes of which each 32 hold 128 values, two bits each; d.
func readTQ2(dst []float32, b []byte) {
	d := half(b[64:])
	for i := range dst {
		q := b[i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
		dst[i] = d * float32(int(q)-1)
	}
}

// e2m1 are the values of a four-bit float, doubled.
var e2m1 = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// readMXFP4: an exponent of two, of half a unit; 16 bytes as in Q4_0.
func readMXFP4(dst []float32, b []byte) {
	bits := (uint32(b[0]) - 1) << 23
	if b[0] < 2 { // subnormal
		bits = 0x00200000 << b[0]
	}
	putNibbles(dst, b[1:17], math.Float32frombits(bits), &e2m1)
}

// readNVFP4: four scales of eight bits without sign, and for each of them 16 values as in Q4_0.
func readNVFP4(dst []float32, b []byte) {
	for i := range 4 {
		putNibbles(dst[16*i:], b[4+8*i:12+8*i], unsignedE4M3(b[i])/2, &e2m1)
	}
}

// unsignedE4M3 is a float of four bits of exponent and three of fraction; 127 counts as none.
func unsignedE4M3(b byte) float32 {
	exp, frac := int(b>>3&15), float64(b&7)
	switch {
	case b == 127:
		return 0
	case exp == 0:
		return float32(math.Ldexp(frac, -9))
	}
	return float32(math.Ldexp(1+frac/8, exp-7))
}
