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

// The shards: four columns of a model of width 4096, whose row groups are several pages, and twelve of one of width
// 768, whose row groups are one page. Fewer columns make the scalar columns, which go through an encoder, weigh more.
var measures = []measure{
	{"write 4 × 4096", "MB/s", "write(2) of the same bytes", 0.8, writing(4, 4096)},
	{"write 12 × 768", "MB/s", "write(2) of the same bytes", 0.8, writing(12, 768)},
	{"commit 4 × 4096", "MB/s", "write(2) and fsync of the same bytes", 0, committing(4, 4096)},
	{"read mapped 4 × 4096", "MB/s", "touch of the mapped file", 0.9, reading(4, 4096)},
	{"read mapped 12 × 768", "MB/s", "touch of the mapped file", 0.9, reading(12, 768)},
	{"check, all cores", "MB/s", "SHA-256 of the cached files by all cores", 0.7, checking(hashAll)},
	{"check, all cores", "MB/s", "read(2) of the cached files by all cores", 0, checking(touchAll)},
	{"widen f16", "Mvalues/s", "copy of as many float32", 0, widening},
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

func writing(columns, width int) func(context.Context, string) (*pair, error) {
	return func(_ context.Context, dir string) (*pair, error) {
		s := newSource(columns, width)
		f, err := os.Create(filepath.Join(dir, "write"))
		if err != nil {
			return nil, err
		}
		return &pair{
			ours:  overwrite(f, func() (int64, error) { return writeShard(f, s) }),
			bound: overwrite(f, func() (int64, error) { return writeRaw(f, s) }),
			close: func() error { return errors.Join(f.Close(), os.Remove(f.Name())) },
		}, nil
	}
}

// committing measures a whole put into a store, with everything that makes it durable.
func committing(columns, width int) func(context.Context, string) (*pair, error) {
	return func(ctx context.Context, dir string) (*pair, error) {
		s := newSource(columns, width)
		st, err := local.New(filepath.Join(dir, "commit"))
		if err != nil {
			return nil, err
		}
		return &pair{
			ours:  func() (int64, error) { return putShard(ctx, st, s) },
			bound: func() (int64, error) { return putRaw(filepath.Join(dir, "raw"), s) },
			close: func() error { return nil },
		}, nil
	}
}

func putShard(ctx context.Context, st store.Store, s source) (int64, error) {
	p, err := st.Create(ctx, "unit")
	if err != nil {
		return 0, err
	}
	defer p.Abort()
	n, err := writeShard(p, s)
	if err != nil {
		return n, err
	}
	return n, errors.Join(p.Commit(ctx), st.Delete(ctx, "unit"))
}

func putRaw(path string, s source) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	n, err := writeRaw(f, s)
	return n, errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}

func reading(columns, width int) func(context.Context, string) (*pair, error) {
	return func(ctx context.Context, dir string) (*pair, error) {
		s := newSource(columns, width)
		st, err := local.New(filepath.Join(dir, fmt.Sprint("read", width)))
		if err != nil {
			return nil, err
		}
		p, err := st.Create(ctx, "unit")
		if err != nil {
			return nil, err
		}
		if _, err := writeShard(p, s); err != nil {
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
