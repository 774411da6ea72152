package collector

import (
	"actfleet/collector/model"
	"actfleet/shard"
)

// pack stores the rows of a view that stand at flat (b·T + t) one after another in dst.
func pack(dst []byte, d shard.Dtype, v model.View, flat []int32) (total shard.VectorStats) {
	size := v.D * d.Size()
	for k, at := range flat {
		row, into := v.Data[int(at)*v.D:(int(at)+1)*v.D], dst[k*size:(k+1)*size]
		if d == shard.F32 {
			total.Merge(shard.PackF32(into, row))
		} else {
			total.Merge(shard.PackF16(into, row))
		}
	}
	return total
}
