package collector

import (
	"context"

	"actfleet/shard"
)

// segment is a run of a batch's kept rows that go into one block.
type segment struct {
	block *shard.Block
	at    int     // first row in the block
	flat  []int32 // where the rows stand in the batch: b*T + t
}

// blocks lends row groups to the computing side and passes full ones to the writer. There are as many
// as one batch can touch, plus two: one being written, one on its way.
type blocks struct {
	free chan *shard.Block
	open *shard.Block // partly filled, nil when none
}

func newBlocks(s shard.Schema, count int) *blocks {
	b := &blocks{free: make(chan *shard.Block, count)}
	for range count {
		b.free <- shard.NewBlock(s)
	}
	return b
}

// blocksPerBatch is how many blocks a batch of so many kept rows can touch.
func blocksPerBatch(kept int) int { return (kept+shard.RowGroupRows-2)/shard.RowGroupRows + 1 }

// place finds room for the kept rows of a batch, in order, and returns where they go.
func (b *blocks) place(ctx context.Context, flat []int32) ([]segment, error) {
	var out []segment
	for len(flat) > 0 {
		if b.open == nil {
			select {
			case b.open = <-b.free:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		n := min(len(flat), shard.RowGroupRows-b.open.Rows)
		out = append(out, segment{block: b.open, at: b.open.Rows, flat: flat[:n]})
		b.open.Rows += n
		flat = flat[n:]
		if b.open.Rows == shard.RowGroupRows {
			b.open = nil
		}
	}
	return out, nil
}

// release hands the blocks that a batch has filled up to the writer.
func (b *blocks) release(ctx context.Context, full chan<- *shard.Block, segments []segment) error {
	for _, s := range segments {
		if s.block.Rows < shard.RowGroupRows {
			continue
		}
		if err := send(ctx, full, s.block); err != nil {
			return err
		}
	}
	return nil
}

// flush hands the last, partly filled block to the writer.
func (b *blocks) flush(ctx context.Context, full chan<- *shard.Block) error {
	if b.open == nil {
		return nil
	}
	last := b.open
	b.open = nil
	return send(ctx, full, last)
}

func send(ctx context.Context, full chan<- *shard.Block, block *shard.Block) error {
	select {
	case full <- block:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// give returns a written block to the free ones.
func (b *blocks) give(done *shard.Block) {
	done.Rows = 0
	clear(done.Stats)
	b.free <- done
}
