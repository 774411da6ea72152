package collector

import (
	"context"
	"sync"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
)

// group is one row group being filled, by several batches at a time.
type group struct {
	block   *shard.Block
	filling sync.WaitGroup // batches that have rows in it and are not done
	sums    []float64      // Σx² of each row, [columns, RowGroupRows]
	mu      sync.Mutex     // guards block.Stats
}

// pack writes the vectors at some places of a view (b·T + t) into rows first, first+1 and so on of a column. What it
// measured is for merge, once the batch is sure to be computed no other time.
func (g *group) pack(i int, column shard.Vector, first int, v model.View, at []int32) shard.VectorStats {
	size, n := column.RowBytes(), len(at)
	m := packVectors(g.block.Vectors[i][first*size:(first+n)*size], column.Dtype, v, at, g.sumsOf(i, first, n))
	m.Count = int64(n)
	return m
}

// store is pack for fp16 rows, as a device rounded them.
func (g *group) store(i, first int, rows model.Rows) shard.VectorStats {
	size, n := 2*rows.D, rows.Len()
	var m torch.Packed
	m.Halves(g.block.Vectors[i][first*size:(first+n)*size], rows.F16, rows.D, g.sumsOf(i, first, n))
	return shard.VectorStats{Count: int64(n), MaxAbs: m.MaxAbs, NonFinite: m.NonFinite}
}

// storeAt is store for some of the rows, in the order of at.
func (g *group) storeAt(i, first int, rows model.Rows, at []int32) (m shard.VectorStats) {
	for done, n := 0, 0; done < len(at); done += n {
		for n = 1; done+n < len(at) && at[done+n] == at[done]+int32(n); n++ {
		}
		from := int(at[done])
		m.Merge(g.store(i, first+done, rows.Slice(from, from+n)))
	}
	return m
}

// merge counts rows of column i.
func (g *group) merge(i int, m shard.VectorStats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.block.Stats[i].Merge(m)
}

// packVectors stores the vectors at some places of a view one after another in dst, writes each one's Σx² into
// sums, and returns what else it measured, all as shard.PackF16, PackF32 and PackI32 define it.
func packVectors(dst []byte, d shard.Dtype, v model.View, at []int32, sums []float64) shard.VectorStats {
	var m torch.Packed
	at = v.Places(at)
	switch d {
	case shard.I32:
		return packNumbers(dst, v, at, sums)
	case shard.F32:
		m.RowsF32(dst, v.Data, v.D, v.D, at, sums)
	default:
		m.RowsF16(dst, v.Data, v.D, v.D, at, sums)
	}
	return shard.VectorStats{MaxAbs: m.MaxAbs, NonFinite: m.NonFinite, Overflow: m.Overflow}
}

func packNumbers(dst []byte, v model.View, at []int32, sums []float64) (all shard.VectorStats) {
	size := shard.I32.Size() * v.D
	for n, place := range at {
		one := shard.PackI32(dst[n*size:(n+1)*size], v.Data[int(place)*v.D:int(place+1)*v.D])
		sums[n], one.SumSq, one.Count = one.SumSq, 0, 0
		all.Merge(one)
	}
	return all
}

// sumsOf are the sums of n rows of a column from row first on.
func (g *group) sumsOf(column, first, n int) []float64 {
	from := column*shard.RowGroupRows + first
	return g.sums[from : from+n]
}

// complete waits until every row is there, and adds up each column's sums in the order of the rows: the
// statistics are those of one pass over the rows, whichever batch was done first.
func (g *group) complete() {
	g.filling.Wait()
	for column := range g.block.Stats {
		for _, sum := range g.sumsOf(column, 0, g.block.Rows) {
			g.block.Stats[column].SumSq += sum
		}
	}
}

// segment is a run of a batch's kept positions whose rows are next to each other in one row group.
type segment struct {
	group *group
	first int     // row in the group
	kept  []int32 // where the positions stand in the batch: b·T + t
}

// from is what follows the segment's first n positions.
func (s segment) from(n int) segment { return segment{s.group, s.first + n, s.kept[n:]} }

// groups lends row groups to the computing side and passes them to the writer, in order, as soon as
// every row of theirs is promised to a batch.
type groups struct {
	free chan *group
	open *group // partly promised, nil when none
}

func newGroups(s shard.Schema, count int) *groups {
	gs := &groups{free: make(chan *group, count)}
	for range count {
		gs.free <- &group{block: shard.NewBlock(s), sums: make([]float64, len(s.Vectors)*shard.RowGroupRows)}
	}
	return gs
}

// groupsTouched is how many row groups so many consecutive rows can touch.
func groupsTouched(rows int) int { return (rows+shard.RowGroupRows-2)/shard.RowGroupRows + 1 }

// place finds rows for the kept positions of a batch, in order, and returns where they go. The batch calls
// done of every segment's group when it has filled it.
func (gs *groups) place(ctx context.Context, kept []int32, full chan<- *group) ([]segment, error) {
	var out []segment
	for len(kept) > 0 {
		if gs.open == nil {
			select {
			case gs.open = <-gs.free:
			case <-ctx.Done():
				for _, s := range out {
					s.group.filling.Done()
				}
				return nil, context.Cause(ctx)
			}
		}
		g := gs.open
		n := min(len(kept), shard.RowGroupRows-g.block.Rows)
		out = append(out, segment{group: g, first: g.block.Rows, kept: kept[:n]})
		g.filling.Add(1)
		g.block.Rows += n
		kept = kept[n:]
		if g.block.Rows == shard.RowGroupRows {
			gs.flush(full)
		}
	}
	return out, nil
}

// flush hands the open group to the writer; full has room for every group there is.
func (gs *groups) flush(full chan<- *group) {
	if gs.open != nil {
		full <- gs.open
		gs.open = nil
	}
}

// give returns a written group to the free ones.
func (gs *groups) give(done *group) {
	done.block.Rows = 0
	clear(done.block.Stats)
	gs.free <- done
}
