package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// rawFooter is what the reader takes from a Parquet footer, before it is believed.
type rawFooter struct {
	start    int64 // where the footer begins: pages end before it
	rows     int64
	elements []rawElement
	groups   []rawGroup
	pairs    map[string]string
}

type rawElement struct {
	name       string
	physical   int64 // -1 for a group
	length     int64 // of a fixed-length byte array
	repetition int64
	children   int64
}

type rawGroup struct {
	rows   int64
	chunks []rawChunk
}

type rawChunk struct {
	name       string // first part of the path
	physical   int64
	codec      int64
	encodings  uint64 // bit set
	values     int64
	size       int64
	data, dict int64 // offsets; dict is 0 without a dictionary
}

// start is where the chunk's first page begins.
func (c rawChunk) start() int64 {
	if c.dict > 0 {
		return min(c.dict, c.data)
	}
	return c.data
}

// readFooter loads and decodes the footer of a file of so many bytes.
func readFooter(r io.ReaderAt, size int64) (*rawFooter, error) {
	const tail = 8
	if size < int64(len(parquetMagic))+tail {
		return nil, fmt.Errorf("%w: %d bytes are too few for a Parquet file", ErrCorrupt, size)
	}
	var end [tail]byte
	if err := readFull(r, end[:], size-tail); err != nil {
		return nil, err
	}
	length, err := footerLength(end, size)
	if err != nil {
		return nil, err
	}
	data := make([]byte, length)
	if err := readFull(r, data, size-tail-length); err != nil {
		return nil, err
	}
	f, err := decodeFooter(data)
	if err != nil {
		return nil, err
	}
	f.start = size - tail - length
	return f, nil
}

// checkHead compares the first bytes of a file.
func checkHead(r io.ReaderAt) error {
	head := make([]byte, len(parquetMagic))
	if err := readFull(r, head, 0); err != nil {
		return err
	}
	if string(head) != parquetMagic {
		return fmt.Errorf("%w: no Parquet file", ErrCorrupt)
	}
	return nil
}

// footerLength reads the last bytes of a file.
func footerLength(end [8]byte, size int64) (int64, error) {
	if string(end[4:]) != parquetMagic {
		return 0, fmt.Errorf("%w: no Parquet file, or one that is cut short", ErrCorrupt)
	}
	length := int64(binary.LittleEndian.Uint32(end[:4]))
	if length > maxFooter || length > size-int64(len(end))-int64(len(parquetMagic)) {
		return 0, fmt.Errorf("%w: footer of %d bytes in a file of %d", ErrCorrupt, length, size)
	}
	return length, nil
}

func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b) && (err == nil || err == io.EOF):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it ends within the %d bytes at %d, after %d", ErrCorrupt, len(b), off, n)
	}
	return fmt.Errorf("read %d bytes of the shard at %d: %w", len(b), off, err)
}

func decodeFooter(data []byte) (*rawFooter, error) {
	c := &cursor{b: data}
	f := &rawFooter{pairs: map[string]string{}}
	c.structure(thriftStruct, func(id int16, t byte) {
		switch id {
		case 2:
			c.list(t, func(t byte) { f.elements = append(f.elements, c.element(t)) })
		case 3:
			f.rows = c.number(t)
		case 4:
			c.list(t, func(t byte) { f.groups = append(f.groups, c.group(t)) })
		case 5:
			c.list(t, func(t byte) { c.pair(t, f.pairs) })
		default:
			c.skip(t)
		}
	})
	if c.err == nil && c.off != len(data) {
		c.fail("footer is longer than its content")
	}
	return f, c.err
}

// element reads a SchemaElement. Its name must be there: that bounds how many fit into a footer.
func (c *cursor) element(t byte) rawElement {
	e := rawElement{physical: -1}
	c.structure(t, func(id int16, t byte) {
		switch id {
		case 1:
			e.physical = c.number(t)
		case 2:
			e.length = c.number(t)
		case 3:
			e.repetition = c.number(t)
		case 4:
			e.name = c.text(t)
		case 5:
			e.children = c.number(t)
		default:
			c.skip(t)
		}
	})
	if e.name == "" {
		c.fail("column without a name")
	}
	return e
}

func (c *cursor) pair(t byte, pairs map[string]string) {
	var key, value string
	c.structure(t, func(id int16, t byte) {
		switch id {
		case 1:
			key = c.text(t)
		case 2:
			value = c.text(t)
		default:
			c.skip(t)
		}
	})
	pairs[key] = value
}

// group reads a RowGroup.
func (c *cursor) group(t byte) rawGroup {
	var g rawGroup
	c.structure(t, func(id int16, t byte) {
		switch id {
		case 1:
			c.list(t, func(t byte) { g.chunks = append(g.chunks, c.chunk(t)) })
		case 3:
			g.rows = c.number(t)
		default:
			c.skip(t)
		}
	})
	if len(g.chunks) == 0 {
		c.fail("row group without columns")
	}
	return g
}

// chunk reads a ColumnChunk, of which only the metadata counts.
func (c *cursor) chunk(t byte) rawChunk {
	var r rawChunk
	c.structure(t, func(id int16, t byte) {
		switch id {
		case 1:
			c.fail("column in another file")
		case 3:
			c.structure(t, func(id int16, t byte) { c.chunkField(&r, id, t) })
		default:
			c.skip(t)
		}
	})
	if r.name == "" {
		c.fail("column chunk without a path")
	}
	return r
}

func (c *cursor) chunkField(r *rawChunk, id int16, t byte) {
	switch id {
	case 1:
		r.physical = c.number(t)
	case 2:
		c.list(t, func(t byte) { r.encodings |= 1 << (uint64(c.number(t)) & 63) })
	case 3:
		c.list(t, func(t byte) {
			if part := c.text(t); r.name == "" {
				r.name = part
			}
		})
	case 4:
		r.codec = c.number(t)
	case 5:
		r.values = c.number(t)
	case 7:
		r.size = c.number(t)
	case 9:
		r.data = c.number(t)
	case 11:
		r.dict = c.number(t)
	default:
		c.skip(t)
	}
}

// plainBits is the set of encodings of a vector chunk: PLAIN values, RLE levels.
const plainBits = 1<<uint(format.Plain) | 1<<uint(format.RLE)
