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
		x := float64(valueAt(row, d, i))
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

func valueAt(row []byte, d Dtype, i int) float32 {
	if d == F32 {
		return math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
	}
	return f16ToF32(binary.LittleEndian.Uint16(row[2*i:]))
}
