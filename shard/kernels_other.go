//go:build !amd64

package shard

// vectorUnit is never set here.
var vectorUnit bool

func fastF16(row []byte, _ *[lanes]float64) (rest []byte, top uint16) { return row, 0 }

func fastF32(row []byte, _ *[lanes]float64) (rest []byte, top uint32) { return row, 0 }

func widenF16([]float32, []byte) int { return 0 }
