package gguf

import "encoding/binary"

// iLayouts are the I-quants.
var iLayouts = map[Dtype]layout{
	16: {"IQ2_XXS", 256, 66, readIQ2XXS},
	17: {"IQ2_XS", 256, 74, readIQ2XS},
	18: {"IQ3_XXS", 256, 98, readIQ3XXS},
	19: {"IQ1_S", 256, 50, readIQ1S},
	20: {"IQ4_NL", 32, 18, readIQ4NL},
	21: {"IQ3_S", 256, 110, readIQ3S},
	22: {"IQ2_S", 256, 82, readIQ2S},
	23: {"IQ4_XS", 256, 136, readIQ4XS},
	29: {"IQ1_M", 256, 56, readIQ1M},
}

// The layouts of the I-quants: ggml-common.h, block_iq*; what they mean: ggml-quants.c, dequantize_row_iq*.

// fourBit are the levels of IQ4_NL and IQ4_XS.
var fourBit = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// readIQ2XXS: d; for each 32 values four rows of the grid, and a word of four times seven signs and a scale.
func readIQ2XXS(dst []float32, b []byte) {
	d, g := half(b), grids().iq2xxs
	for part := range 8 {
		rows, word := b[2+8*part:6+8*part], binary.LittleEndian.Uint32(b[6+8*part:])
		scale := d * (0.5 + float32(word>>28)) * 0.25
		for i, row := range rows {
			g.put(dst[32*part+8*i:], int(row), scale, evenSigns(word>>(7*i)))
		}
	}
}

// readIQ2XS: d; for each eight values a row of nine bits and seven signs; for each 16 a scale of four bits.
func readIQ2XS(dst []float32, b []byte) {
	d, g, scales := half(b), grids().iq2xs, b[66:74]
	for i := range 32 {
		q := binary.LittleEndian.Uint16(b[2+2*i:])
		g.put(dst[8*i:], int(q&511), quarter(d, scales, i/2), evenSigns(uint32(q>>9)))
	}
}

// quarter is the scale of the i-th 16 values: four bits of scales.
func quarter(d float32, scales []byte, i int) float32 {
	return d * (0.5 + float32(scales[i/2]>>(4*(i&1))&15)) * 0.25
}

// readIQ2S: d; rows of ten bits (eight here, two there); eight signs for each; a scale of four bits for each 16 values.
func readIQ2S(dst []float32, b []byte) {
	d, g, signs, high, scales := half(b), grids().iq2s, b[34:66], b[66:74], b[74:82]
	for i := range 32 {
		row := int(b[2+i]) | int(high[i/4]>>(2*(i%4))&3)<<8
		g.put(dst[8*i:], row, quarter(d, scales, i/2), signs[i])
	}
}

// readIQ3XXS: d; rows of four values; for each 32 values a word of four times seven signs and a scale.
func readIQ3XXS(dst []float32, b []byte) {
	d, g := half(b), grids().iq3xxs
	for part := range 8 {
		rows, word := b[2+8*part:10+8*part], binary.LittleEndian.Uint32(b[66+4*part:])
		scale := d * (0.5 + float32(word>>28)) * 0.5
		for i, row := range rows {
			signs := evenSigns(word >> (7 * (i / 2)))
			g.put(dst[32*part+4*i:], int(row), scale, signs>>(4*(i&1)))
		}
	}
}

// readIQ3S: d; rows of nine bits of four values; a sign for each value; a scale of four bits for each 32.
func readIQ3S(dst []float32, b []byte) {
	d, g, high, signs, scales := half(b), grids().iq3s, b[66:74], b[74:106], b[106:110]
	for i := range 64 {
		part := i / 8
		scale := d * float32(1+2*int(scales[part/2]>>(4*(part&1))&15))
		g.put(dst[4*i:], int(b[2+i])|int(high[part]>>(i%8)&1)<<8, scale, signs[i/2]>>(4*(i&1)))
	}
}

// readIQ1S: d; rows of eleven bits; for each 32 values a scale of three bits, and which way they are shifted.
func readIQ1S(dst []float32, b []byte) {
	d, g := half(b), grids().iq1
	for part := range 8 {
		high := binary.LittleEndian.Uint16(b[34+2*part:])
		scale := d * float32(2*(high>>12&7)+1)
		for i := range 4 {
			row := int(b[2+4*part+i]) | int(high>>(3*i)&7)<<8
			putShifted(dst[32*part+8*i:], g[row], scale, high>>15 == 1)
		}
	}
}

func putShifted(dst, row []float32, scale float32, down bool) {
	shift := float32(0.125)
	if down {
		shift = -shift
	}
	for i, v := range row {
		dst[i] = scale * (v + shift)
	}
}

// readIQ1M: rows of eleven bits with a shift for each eight values; four words that each hold four scales of three bits,
// for 16 values, and four bits of d.
func readIQ1M(dst []float32, b []byte) {
	high, words := b[32:48], b[48:56]
	var d uint16
	for i := range 4 {
		d |= binary.LittleEndian.Uint16(words[2*i:]) >> 12 << (4 * i)
	}
	g, whole := grids().iq1, half([]byte{byte(d), byte(d >> 8)})
	for i := range 32 {
		h := high[i/2] >> (4 * (i & 1))
		sixteen := i / 2
		scale := whole * float32(2*(binary.LittleEndian.Uint16(words[sixteen/4*2:])>>(3*(sixteen%4))&7)+1)
		putShifted(dst[8*i:], g[int(b[i])|int(h&7)<<8], scale, h&8 != 0)
	}
}

// readIQ4NL: as Q4_0, with levels of its own.
func readIQ4NL(dst []float32, b []byte) { putNibbles(dst, b[2:18], half(b), &fourBit) }

// putNibbles writes scale · levels: the low halves of the bytes first, then the high ones.
func putNibbles(dst []float32, b []byte, scale float32, levels *[16]float32) {
	for i, q := range b {
		dst[i], dst[i+len(b)] = scale*levels[q&15], scale*levels[q>>4]
	}
}

// readIQ4XS: d; for each 32 values a scale of six bits, two of them in a word.
func readIQ4XS(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint16(b[2:])
	for part := range 8 {
		scale := int(b[4+part/2]>>(4*(part&1))&15) | int(high>>(2*part)&3)<<4
		putNibbles(dst[32*part:], b[8+16*part:24+16*part], d*float32(scale-32), &fourBit)
	}
}
