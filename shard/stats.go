package shard

import (
	"encoding/binary"
	"math"
)

// VectorStats summarises the vectors of a column over some rows. The zero value is that of no rows.
//
// SumSq is defined to the last bit, so that a checker can recompute it from the file: the values are those stored
// (after rounding to f16); the finite values of one row are squared in float64 (exact, for f16 and f32 alike) and
// added in 8 lanes, value i to lane i%8; the lanes are added in the order 0 to 7; rows are added in order to the sum of
// their row group, and row groups in order to the sum of their file.
type VectorStats struct {
	Count     int64   `json:"count"`     // rows
	SumSq     float64 `json:"sumsq"`     // Σ‖x‖² over the finite stored values
	MaxAbs    float64 `json:"maxabs"`    // greatest |x| of the finite stored values
	NonFinite int64   `json:"nonfinite"` // values that were NaN or infinite before they were packed
	Overflow  int64   `json:"overflow"`  // finite values that became infinite when they were packed
}

// Merge adds the statistics of the rows that follow. Count, NonFinite, Overflow and MaxAbs do not depend on the order;
// SumSq does in its last bits.
func (a *VectorStats) Merge(b VectorStats) {
	a.Count += b.Count
	a.SumSq += b.SumSq
	a.MaxAbs = max(a.MaxAbs, b.MaxAbs)
	a.NonFinite += b.NonFinite
	a.Overflow += b.Overflow
}

// lanes is the number of partial sums of a row: what one AVX2 kernel holds in two registers of float64.
const lanes = 8

// measureRow is the definition of VectorStats for one row of stored values.
func measureRow(row []byte, d Dtype) VectorStats {
	var lane [lanes]float64
	s := VectorStats{Count: 1}
	for i := range len(row) / d.Size() {
		x := valueAt(row, d, i)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			s.NonFinite++
			continue
		}
		lane[i%lanes] += x * x
		s.MaxAbs = max(s.MaxAbs, math.Abs(x))
	}
	for _, sum := range lane {
		s.SumSq += sum
	}
	return s
}

func valueAt(row []byte, d Dtype, i int) float64 {
	switch d {
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:])))
	case I32:
		return float64(int32(binary.LittleEndian.Uint32(row[4*i:])))
	}
	return float64(f16ToF32(binary.LittleEndian.Uint16(row[2*i:])))
}

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

// finiteRow measures a row of floats; ok is false if a value is not finite, or none.
func finiteRow(row []byte, d Dtype) (s VectorStats, ok bool) {
	var lane [lanes]float64
	var greatest float32
	switch d {
	case F16:
		greatest, ok = sumF16(row, &lane)
	case F32:
		greatest, ok = sumF32(row, &lane)
	default:
		return s, false
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
