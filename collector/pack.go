package collector

import (
	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
)

// pack stores the rows of a view that stand at flat (b·T + t) one after another in dst, writes each row's
// Σx² into sums, and returns what else it measured, all as shard.PackF16 and PackF32 define it.
func pack(dst []byte, d shard.Dtype, v model.View, flat []int32, sums []float64) shard.VectorStats {
	var m torch.Packed
	if d == shard.F32 {
		m.RowsF32(dst, v.Data, v.D, v.D, flat, sums)
	} else {
		m.RowsF16(dst, v.Data, v.D, v.D, flat, sums)
	}
	return shard.VectorStats{MaxAbs: m.MaxAbs, NonFinite: m.NonFinite, Overflow: m.Overflow}
}
