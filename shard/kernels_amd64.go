package shard

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// vectorUnit says that the processor has what the kernels in kernels_amd64.s use.
var vectorUnit = cpu.X86.HasAVX2 && hasF16C()

func hasF16C() bool

// addF16 sets lane and top from steps·8 values: lane as measureRow defines it, and in eight places the greatest patterns
// without sign. steps is at least 1.
//
//go:noescape
func addF16(row *byte, steps int, lane *[lanes]float64, top *[lanes]uint16)

// addF32 is addF16 for f32.
//
//go:noescape
func addF32(row *byte, steps int, lane *[lanes]float64, top *[lanes]uint32)

// fastF16 measures all whole steps of a row and returns what is left of it.
func fastF16(row []byte, lane *[lanes]float64) (rest []byte, top uint16) {
	steps := len(row) / (2 * lanes)
	if !vectorUnit || steps == 0 {
		return row, 0
	}
	var tops [lanes]uint16
	addF16(&row[0], steps, lane, &tops)
	return row[2*lanes*steps:], slices.Max(tops[:])
}

// fastF32 is fastF16 for f32.
func fastF32(row []byte, lane *[lanes]float64) (rest []byte, top uint32) {
	steps := len(row) / (4 * lanes)
	if !vectorUnit || steps == 0 {
		return row, 0
	}
	var tops [lanes]uint32
	addF32(&row[0], steps, lane, &tops)
	return row[4*lanes*steps:], slices.Max(tops[:])
}

// widenF16 widens all whole steps of a row and returns the number of values it did.
func widenF16(dst []float32, src []byte) int {
	steps := len(dst) / lanes
	if !vectorUnit || steps == 0 {
		return 0
	}
	_ = src[:2*lanes*steps]
	convertF16(&dst[0], &src[0], steps)
	return lanes * steps
}

// convertF16 widens steps·8 values; steps is at least 1.
//
//go:noescape
func convertF16(dst *float32, src *byte, steps int)
