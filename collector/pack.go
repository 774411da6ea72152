package collector

import (
	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
)

// pack stores the rows of a view that stand at flat (b·T + t) one after another in dst and adds what it
// measures to total, row by row as shard.PackF16 defines it.
func pack(total *shard.VectorStats, dst []byte, d shard.Dtype, v model.View, flat []int32) {
	size := v.D * d.Size()
	kernel := torch.PackF16
	if d == shard.F32 {
		kernel = torch.PackF32
	}
	for k, at := range flat {
		s := shard.VectorStats{Count: 1}
		s.SumSq, s.MaxAbs, s.NonFinite, s.Overflow = kernel(dst[k*size:(k+1)*size], v.Data[int(at)*v.D:(int(at)+1)*v.D])
		total.Merge(s)
	}
}
