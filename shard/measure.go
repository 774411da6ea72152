package shard

import (
	"encoding/binary"
	"math"
)

// measureInto merges measureRow of each row into sum, faster: whole rows of finite values take a loop without branches,
// in vector registers where the processor has them; a row with another value goes to measureRow.
func measureInto(sum *VectorStats, values []byte, v Vector) {
	for n := v.RowBytes(); len(values) >= n; values = values[n:] {
		row := values[:n]
		if s, ok := finiteRow(row, v.Dtype); ok {
			sum.Merge(s)
		} else {
			sum.Merge(measureRow(row, v.Dtype))
		}
	}
}

// finiteRow measures a row; ok is false if a value is not finite.
func finiteRow(row []byte, d Dtype) (s VectorStats, ok bool) {
	var lane [lanes]float64
	var greatest float32
	if d == F32 {
		greatest, ok = sumF32(row, &lane)
	} else {
		greatest, ok = sumF16(row, &lane)
	}
	s = VectorStats{Count: 1, MaxAbs: float64(greatest)}
	for _, x := range lane {
		s.SumSq += x
	}
	return s, ok
}

// sumF16 compares magnitudes as integers: patterns of values of one sign are in the order of the values.
func sumF16(row []byte, lane *[lanes]float64) (greatest float32, finite bool) {
	table := f16Table()
	row, top := fastF16(row, lane)
	i := 0
	for ; len(row) >= 2*lanes; row = row[2*lanes:] {
		for k := range lanes {
			h := binary.LittleEndian.Uint16(row[2*k:])
			x := float64(table[h])
			lane[k] += x * x
			top = max(top, h&0x7fff)
		}
	}
	for ; len(row) >= 2; row = row[2:] {
		h := binary.LittleEndian.Uint16(row)
		x := float64(table[h])
		lane[i] += x * x
		top = max(top, h&0x7fff)
		i++
	}
	return table[top], top < f16Exponent
}

func sumF32(row []byte, lane *[lanes]float64) (greatest float32, finite bool) {
	row, top := fastF32(row, lane)
	i := 0
	for ; len(row) >= 4*lanes; row = row[4*lanes:] {
		for k := range lanes {
			b := binary.LittleEndian.Uint32(row[4*k:])
			x := float64(math.Float32frombits(b))
			lane[k] += x * x
			top = max(top, b&0x7fffffff)
		}
	}
	for ; len(row) >= 4; row = row[4:] {
		b := binary.LittleEndian.Uint32(row)
		x := float64(math.Float32frombits(b))
		lane[i] += x * x
		top = max(top, b&0x7fffffff)
		i++
	}
	return math.Float32frombits(top), top < 0x7f800000
}
