package collector

import (
	"context"
	"sync"

	"actfleet/shard"
)

// group is one row group being filled, by several batches at a time.
type group struct {
	*shard.Block
	filling sync.WaitGroup // batches that have rows in it and are not done
	sums    []float64      // Σx² of each row, [columns, RowGroupRows]
	mu      sync.Mutex     // guards Stats
}

// sumsOf are the sums of n rows of a column from row at on.
func (g *group) sumsOf(column, at, n int) []float64 {
	from := column*shard.RowGroupRows + at
	return g.sums[from : from+n]
}

// note merges what was measured when n rows of a column were packed.
func (g *group) note(column, n int, m shard.VectorStats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Count = int64(n)
	g.Stats[column].Merge(m)
}

// settle waits until every row is there, and adds up each column's sums in the order of the rows: the
// statistics are those of one pass over the rows, whichever batch was done first.
func (g *group) settle() {
	g.filling.Wait()
	for column := range g.Stats {
		for _, sum := range g.sumsOf(column, 0, g.Rows) {
			g.Stats[column].SumSq += sum
		}
	}
}

// segment is a run of a batch's kept rows that go into one row group.
type segment struct {
	group *group
	at    int     // first row in the group
	flat  []int32 // where the rows stand in the batch: b*T + t
}

// groups lends row groups to the computing side and passes them to the writer, in order, as soon as
// every row of theirs is promised to a batch.
type groups struct {
	free chan *group
	open *group // partly promised, nil when none
}

func newGroups(s shard.Schema, count int) *groups {
	b := &groups{free: make(chan *group, count)}
	for range count {
		b.free <- &group{Block: shard.NewBlock(s), sums: make([]float64, len(s.Vectors)*shard.RowGroupRows)}
	}
	return b
}

// groupsTouched is how many row groups so many consecutive rows can touch.
func groupsTouched(rows int) int { return (rows+shard.RowGroupRows-2)/shard.RowGroupRows + 1 }

// place finds room for the kept rows of a batch, in order, and returns where they go. The batch calls
// done of every segment's group when it has filled it.
func (b *groups) place(ctx context.Context, flat []int32, full chan<- *group) ([]segment, error) {
	var out []segment
	for len(flat) > 0 {
		if b.open == nil {
			select {
			case b.open = <-b.free:
			case <-ctx.Done():
				for _, s := range out {
					s.group.filling.Done()
				}
				return nil, context.Cause(ctx)
			}
		}
		g := b.open
		n := min(len(flat), shard.RowGroupRows-g.Rows)
		out = append(out, segment{group: g, at: g.Rows, flat: flat[:n]})
		g.filling.Add(1)
		g.Rows += n
		flat = flat[n:]
		if g.Rows == shard.RowGroupRows {
			b.flush(full)
		}
	}
	return out, nil
}

// flush hands the open group to the writer; full has room for every group there is.
func (b *groups) flush(full chan<- *group) {
	if b.open != nil {
		full <- b.open
		b.open = nil
	}
}

// give returns a written group to the free ones.
func (b *groups) give(done *group) {
	done.Rows = 0
	clear(done.Stats)
	b.free <- done
}
