package mirror

import (
	"fmt"
	"io"

	"actfleet/shard"
	"actfleet/shard/store"
)

// magic is how a Parquet file begins. It is written without being read: it is 4 bytes, and a request.
var magic = []byte("PAR1")

// footer is the beginning and the end of a shard, as an io.ReaderAt.
type footer struct {
	off  int64
	data []byte
}

// footer fetches the end of a shard: its length stands in the last bytes.
func (m *Mirror) footer(o store.Object, size int64) (footer, error) {
	var tail [8]byte
	if size < int64(len(tail)+len(magic)) {
		return footer{}, shard.ErrCorrupt
	}
	if err := readFull(o, tail[:], size-int64(len(tail))); err != nil {
		return footer{}, err
	}
	n, err := shard.FooterSize(tail, size)
	if err != nil {
		return footer{}, err
	}
	f := footer{size - n, make([]byte, n)}
	m.fetched.Add(n)
	return f, readFull(o, f.data, f.off)
}

// ReadAt knows the footer and nothing before it.
func (f footer) ReadAt(b []byte, off int64) (int, error) {
	if off >= f.off {
		n := copy(b, f.data[min(off-f.off, int64(len(f.data))):])
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	}
	return 0, fmt.Errorf("the mirror holds no pages at %d", off)
}

func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	return err
}
