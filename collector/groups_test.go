package collector

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"actfleet/collector/model"
	"actfleet/shard"
)

// The fast kernel gives the bytes and the statistics, to the last bit, of the slow reference in shard,
// however a block's rows are divided among batches.
func TestPackEqualsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, rows := rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(1, 30).Draw(t, "rows")
		v := model.View{D: width, T: rows, Data: make([]float32, rows*width)}
		for i := range v.Data {
			v.Data[i] = float32(rapid.OneOf(rapid.Float64Range(-70000, 70000), rapid.Float64Range(-1e-6, 1e-6)).Draw(t, "x"))
		}
		flat := make([]int32, rows)
		for i := range flat {
			flat[i] = int32(rows - 1 - i)
		}
		cut := rapid.IntRange(0, rows).Draw(t, "cut")
		d := rapid.SampledFrom([]shard.Dtype{shard.F16, shard.F32}).Draw(t, "dtype")
		size := width * d.Size()
		got, want := make([]byte, rows*size), make([]byte, rows*size)
		var a, b shard.VectorStats
		sums := make([]float64, rows)
		a.Merge(packVectors(got[cut*size:], d, v, flat[cut:], sums[cut:]))
		a.Merge(packVectors(got[:cut*size], d, v, flat[:cut], sums))
		a.Count = int64(rows)
		for _, sum := range sums {
			a.SumSq += sum
		}
		for k, at := range flat {
			reference := shard.PackF16
			if d == shard.F32 {
				reference = shard.PackF32
			}
			b.Merge(reference(want[k*size:(k+1)*size], v.Data[int(at)*width:(int(at)+1)*width]))
		}
		if a.Overflow > 0 { // the kernel then reports the source's magnitude
			a.MaxAbs, b.MaxAbs = 0, 0
		}
		if string(got) != string(want) || a != b || math.IsNaN(a.SumSq) {
			t.Fatalf("%d×%d cut at %d: %+v, want %+v", rows, width, cut, a, b)
		}
	})
}
