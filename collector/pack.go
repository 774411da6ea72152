package collector

import (
	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
)

// pack stores the rows of a view that stand at flat (b·T + t) one after another in dst and adds what it
// measures to total, row by row as shard.PackF16 defines it.
func pack(total *shard.VectorStats, dst []byte, d shard.Dtype, v model.View, flat []int32) {
	m := torch.Packed{SumSq: total.SumSq, MaxAbs: total.MaxAbs, NonFinite: total.NonFinite, Overflow: total.Overflow}
	if d == shard.F32 {
		m.RowsF32(dst, v.Data, v.D, v.D, flat)
	} else {
		m.RowsF16(dst, v.Data, v.D, v.D, flat)
	}
	*total = shard.VectorStats{Count: total.Count + int64(len(flat)), SumSq: m.SumSq, MaxAbs: m.MaxAbs, NonFinite: m.NonFinite, Overflow: m.Overflow}
}
