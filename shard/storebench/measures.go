package storebench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"actfleet/shard"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

var measures = []measure{
	{"write, width 4096", "MB/s", "write(2) of the same bytes", 0.8, writing(4096)},
	{"write, width 768", "MB/s", "write(2) of the same bytes", 0.8, writing(768)},
	{"commit, width 4096", "MB/s", "write(2) and fsync of the same bytes", 0, committing(4096)},
	{"read mapped, width 4096", "MB/s", "touch of the mapped file", 0.9, reading(4096)},
	{"read mapped, width 768", "MB/s", "touch of the mapped file", 0.9, reading(768)},
	{"widen f16", "Mvalues/s", "copy of as many float32", 0, widening},
}

// block makes one block of bell-shaped values, which is written again and again.
func block(s shard.Schema) *shard.Block {
	b := shard.NewBlock(s)
	b.Rows = shard.RowGroupRows
	for i := range b.Rows {
		b.Scalars[0].([]int64)[i] = int64(i)
		b.Scalars[4].([]string)[i] = fmt.Sprint("token", i%50)
	}
	state := uint64(1)
	for c := range s.Vectors {
		for at := 0; at < len(b.Vectors[c]); at += 2 {
			state = state*6364136223846793005 + 1442695040888963407
			h := uint16(state>>48)&0x83ff | uint16(13+state>>40&3)<<10 // magnitudes from 1/4 to 4
			binary.LittleEndian.PutUint16(b.Vectors[c][at:], h)
		}
	}
	b.Measure(s)
	return b
}

// writeShard writes the block as often as makes fileBytes.
func writeShard(w io.Writer, s shard.Schema, b *shard.Block) (int64, error) {
	sw, err := shard.NewWriter(w, s, shard.Identity{PlanID: "bench"})
	if err != nil {
		return 0, err
	}
	for range groups(b) {
		if err := sw.WriteBlock(b); err != nil {
			return 0, err
		}
	}
	f, err := sw.Close()
	return f.Size, err
}

// writeRaw writes the same vectors by bare write(2), in pieces of 1 MiB.
func writeRaw(w io.Writer, b *shard.Block) (n int64, err error) {
	const piece = 1 << 20
	for range groups(b) {
		for _, v := range b.Vectors {
			for ; len(v) > 0; v = v[min(piece, len(v)):] {
				k, err := w.Write(v[:min(piece, len(v))])
				if n += int64(k); err != nil {
					return n, err
				}
			}
		}
	}
	return n, nil
}

// overwrite calls write at the beginning of a file whose pages are all there.
func overwrite(f *os.File, write func() (int64, error)) func() (int64, error) {
	return func() (int64, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		return write()
	}
}

func writing(width int) func(context.Context, string) (*pair, error) {
	return func(_ context.Context, dir string) (*pair, error) {
		s := benchSchema(width)
		b := block(s)
		f, err := os.Create(filepath.Join(dir, "write"))
		if err != nil {
			return nil, err
		}
		return &pair{
			ours:  overwrite(f, func() (int64, error) { return writeShard(f, s, b) }),
			bound: overwrite(f, func() (int64, error) { return writeRaw(f, b) }),
			close: func() error { return errors.Join(f.Close(), os.Remove(f.Name())) },
		}, nil
	}
}

// committing measures a whole put into a store, with everything that makes it durable.
func committing(width int) func(context.Context, string) (*pair, error) {
	return func(ctx context.Context, dir string) (*pair, error) {
		s := benchSchema(width)
		b := block(s)
		st, err := local.New(filepath.Join(dir, "commit"))
		if err != nil {
			return nil, err
		}
		return &pair{
			ours:  func() (int64, error) { return putShard(ctx, st, s, b) },
			bound: func() (int64, error) { return putRaw(filepath.Join(dir, "raw"), b) },
			close: func() error { return nil },
		}, nil
	}
}

func putShard(ctx context.Context, st store.Store, s shard.Schema, b *shard.Block) (int64, error) {
	p, err := st.Create(ctx, "unit")
	if err != nil {
		return 0, err
	}
	defer p.Abort()
	n, err := writeShard(p, s, b)
	if err != nil {
		return n, err
	}
	return n, errors.Join(p.Commit(ctx), st.Delete(ctx, "unit"))
}

func putRaw(path string, b *shard.Block) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	n, err := writeRaw(f, b)
	return n, errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}

func reading(width int) func(context.Context, string) (*pair, error) {
	return func(ctx context.Context, dir string) (*pair, error) {
		s := benchSchema(width)
		st, err := local.New(filepath.Join(dir, fmt.Sprint("read", width)))
		if err != nil {
			return nil, err
		}
		p, err := st.Create(ctx, "unit")
		if err != nil {
			return nil, err
		}
		if _, err := writeShard(p, s, block(s)); err != nil {
			return nil, errors.Join(err, p.Abort())
		}
		if err := p.Commit(ctx); err != nil {
			return nil, err
		}
		return readPair(ctx, st)
	}
}

func readPair(ctx context.Context, st store.Store) (*pair, error) {
	r, err := shard.Open(ctx, st, "unit")
	if err != nil {
		return nil, err
	}
	o, err := st.Open(ctx, "unit")
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	file := o.(store.Mapped).Bytes()
	return &pair{
		ours:  func() (int64, error) { return readShard(r) },
		bound: func() (int64, error) { runtime.KeepAlive(touch(file)); return int64(len(file)), nil },
		close: func() error { return errors.Join(r.Close(), o.Close()) },
	}, nil
}

// readShard touches every vector value, as a trainer that reads all columns does.
func readShard(r *shard.Reader) (n int64, err error) {
	for g := range r.NumGroups() {
		for col := range r.Schema().Vectors {
			for page, err := range r.Pages(g, col) {
				if err != nil {
					return n, err
				}
				runtime.KeepAlive(touch(page))
				n += int64(len(page))
			}
		}
	}
	return n, nil
}

// touch reads every byte of b, eight at a time into four sums.
func touch(b []byte) uint64 {
	var s [4]uint64
	for ; len(b) >= 32; b = b[32:] {
		s[0] += binary.LittleEndian.Uint64(b)
		s[1] += binary.LittleEndian.Uint64(b[8:])
		s[2] += binary.LittleEndian.Uint64(b[16:])
		s[3] += binary.LittleEndian.Uint64(b[24:])
	}
	for _, x := range b {
		s[0] += uint64(x)
	}
	return s[0] + s[1] + s[2] + s[3]
}

// widening unpacks a block that stays in the cache, beside a copy of as many values that are float32 already.
func widening(context.Context, string) (*pair, error) {
	const values, times = 32 << 10, 2000
	src, same, dst := make([]byte, 2*values), make([]float32, values), make([]float32, values)
	for i := range values {
		binary.LittleEndian.PutUint16(src[2*i:], uint16(i)&0x3bff)
		same[i] = float32(math.Sqrt(float64(i)))
	}
	return &pair{
		ours: func() (int64, error) {
			for range times {
				shard.UnpackF16(dst, src)
			}
			return values * times, nil
		},
		bound: func() (int64, error) {
			for range times {
				copy(dst, same)
				runtime.KeepAlive(dst)
			}
			return values * times, nil
		},
		close: func() error { return nil },
	}, nil
}
