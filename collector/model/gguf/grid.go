package gguf

import (
	_ "embed"
	"math/bits"
	"sync"
)

// A grid is the code book of an I-quant: rows of eight values, or of four.
type grid [][]float32

// packedGrids are the code books one after the other, as places in their lists of levels: two bits each for IQ2_XXS,
// IQ2_XS, IQ2_S and IQ1, four bits each for IQ3_XXS and IQ3_S. The numbers are ggml's (ggml-common.h).
//
//go:embed grids.bin
var packedGrids []byte

type gridSet struct{ iq2xxs, iq2xs, iq2s, iq1, iq3xxs, iq3s grid }

// grids unpacks the code books when one is first needed.
var grids = sync.OnceValue(func() (g gridSet) {
	rest := packedGrids
	take := func(rows, width, bits int, levels ...float32) (out grid) {
		for range rows {
			row := make([]float32, width)
			for i := range row {
				at := i * bits
				row[i] = levels[rest[at/8]>>(at%8)&(1<<bits-1)]
			}
			out, rest = append(out, row), rest[width*bits/8:]
		}
		return out
	}
	g.iq2xxs, g.iq2xs, g.iq2s = take(256, 8, 2, 8, 25, 43), take(512, 8, 2, 8, 25, 43), take(1024, 8, 2, 8, 25, 43)
	g.iq1 = take(2048, 8, 2, -1, 0, 1)
	g.iq3xxs, g.iq3s = take(256, 4, 4, 4, 12, 20, 28, 36, 44, 52, 62), take(512, 4, 4, 1, 3, 5, 7, 9, 11, 13, 15)
	return g
})

// put writes scale · row, with the sign of value i taken from bit i.
func (g grid) put(dst []float32, row int, scale float32, signs byte) {
	for i, v := range g[row] {
		if signs>>i&1 == 1 {
			v = -v
		}
		dst[i] = scale * v
	}
}

// evenSigns are eight signs of which seven are given: the number of minus signs is even.
func evenSigns(seven uint32) byte {
	s := byte(seven & 127)
	return s | byte(bits.OnesCount8(s)&1)<<7
}
