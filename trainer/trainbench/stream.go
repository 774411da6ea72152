package trainbench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/stream"
)

// streaming is what a training reads by default.
var streaming = stream.Config{Batch: 2048, ShuffleWindow: 64, Prefetch: 2}

// Stream measures bytes per second of one column in training order on one core, and of adding up the same bytes in file
// order. It sets GOMAXPROCS to 1 meanwhile.
func Stream(ctx context.Context, src stream.Source, column string, rounds int) (Result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return compare(rounds,
		func() (float64, error) { return inOrder(ctx, src, column) },
		func() (float64, error) { return eachUnit(ctx, src, column, touchChunk) })
}

// Cold is Stream with nothing in memory: evict takes the run out of it before each side's round, and the limit is
// reading the same bytes in file order.
func Cold(ctx context.Context, src stream.Source, column string, rounds int, evict func() error) (Result, error) {
	cold := func(measure func() (float64, error)) func() (float64, error) {
		return func() (float64, error) {
			if err := evict(); err != nil {
				return 0, err
			}
			return measure()
		}
	}
	return compare(rounds,
		cold(func() (float64, error) { return inOrder(ctx, src, column) }),
		cold(func() (float64, error) { return eachUnit(ctx, src, column, readChunk) }))
}

// inOrder streams an epoch and returns stored bytes per second.
func inOrder(ctx context.Context, src stream.Source, column string) (rate float64, err error) {
	cfg := streaming
	cfg.Column = column
	s, err := stream.Open(ctx, []stream.Source{src}, cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	began := time.Now()
	for n := int64(0); n < s.Rows(); {
		batch, err := s.Next(ctx)
		if err != nil {
			return 0, err
		}
		n += int64(batch.N)
	}
	return float64(s.Rows()) * float64(s.Width()) * 2 / time.Since(began).Seconds(), nil
}

// eachUnit hands read every row group's chunk of a column in file order, and returns bytes per second.
func eachUnit(ctx context.Context, src stream.Source, column string, read func(store.Object, *shard.Reader, int, string) (int, error)) (float64, error) {
	bytes := 0
	began := time.Now()
	for u := range src.Plan.NumUnits() {
		n, err := unit(ctx, src.Store, run.UnitKey(u), column, read)
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	return float64(bytes) / time.Since(began).Seconds(), nil
}

func unit(ctx context.Context, st store.Store, key, column string, read func(store.Object, *shard.Reader, int, string) (int, error)) (bytes int, err error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	r, err := shard.NewReader(o, o.Size())
	if err != nil {
		return 0, err
	}
	for g := range r.NumGroups() {
		n, err := read(o, r, g, column)
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	return bytes, nil
}

// touchChunk adds up a byte of each cache line.
func touchChunk(_ store.Object, r *shard.Reader, g int, column string) (bytes int, err error) {
	col, ok := r.VectorIndex(column)
	if !ok {
		return 0, fmt.Errorf("no column %s", column)
	}
	sum := 0
	for page, err := range r.Pages(g, col) {
		if err != nil {
			return 0, err
		}
		bytes += len(page)
		for i := 0; i < len(page); i += 64 {
			sum += int(page[i])
		}
	}
	runtime.KeepAlive(sum)
	return bytes, nil
}

// readChunk reads a chunk as any program would.
func readChunk(o store.Object, r *shard.Reader, g int, column string) (int, error) {
	span, ok := r.Chunk(g, column)
	if !ok {
		return 0, fmt.Errorf("no column %s", column)
	}
	return o.ReadAt(make([]byte, span.Size), span.Off)
}
