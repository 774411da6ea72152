package shard

import (
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"actfleet/internal/mapped"
)

// Vector returns the values of vector column col in row group g: GroupRows(g) rows of Width values, little-endian, row
// after row. Where the file is mapped and the row group is one page (it is when it fits into 1 MiB) the result is a
// slice of the file and buf is not used; otherwise it is a slice of buf, which grows if it must. The result must not be
// changed, and must not be passed as buf later: a mapped file cannot be written to. Who reads it does so under a
// mapped.Guard, or the process ends where the file has become shorter.
func (r *Reader) Vector(g, col int, buf []byte) (values []byte, err error) {
	defer mapped.Guard(&err)()
	l, pages, file, buf, err := r.chunkBytes(g, col, buf)
	if err != nil {
		return nil, err
	}
	if len(pages) == 1 && r.mapped != nil {
		return slices.Clip(file[len(pages[0].prefix):]), nil
	}
	n := int(r.groups[g].rows) * l.rowBytes
	if r.owns(buf) {
		buf = nil
	}
	out := slices.Grow(buf[:0], n)[:n]
	for _, p := range pages {
		copy(out[p.first*l.rowBytes:], l.values(p, file)) // without a map, downwards inside of buf
	}
	return out, nil
}

// owns reports whether buf lies in the mapped file.
func (r *Reader) owns(buf []byte) bool {
	if len(r.mapped) == 0 || cap(buf) == 0 {
		return false
	}
	at, start := uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(unsafe.Pointer(unsafe.SliceData(r.mapped)))
	return at >= start && at < start+uintptr(len(r.mapped))
}

// Pages yields the values of vector column col in row group g page by page, whole rows at a time, without a copy where
// the file is mapped. A slice is valid until the next one. After an error nothing follows.
func (r *Reader) Pages(g, col int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		l, pages, file, _, err := r.chunkBytes(g, col, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, p := range pages {
			if !yield(l.values(p, file), nil) {
				return
			}
		}
	}
}

// values cuts the values of a page out of its chunk.
func (l layout) values(p page, chunk []byte) []byte {
	at := p.offset + int64(len(p.prefix))
	return chunk[at : at+int64(p.rows)*int64(l.rowBytes)]
}

// chunkBytes returns the bytes of a chunk, whose page headers it has compared, and the buffer they were read into.
func (r *Reader) chunkBytes(g, col int, buf []byte) (l layout, pages []page, file, grown []byte, err error) {
	defer mapped.Guard(&err)()
	if g < 0 || g >= len(r.groups) || col < 0 || col >= len(r.layouts) {
		return l, nil, nil, nil, fmt.Errorf("%w: no row group %d or vector column %d", ErrSchema, g, col)
	}
	l = r.layouts[col]
	pages = l.pages(int(r.groups[g].rows))
	c := r.groups[g].chunks[len(r.schema.Scalars)+col]
	file, grown, err = r.bytes(c, buf)
	if err != nil {
		return l, nil, nil, nil, err
	}
	for _, p := range pages {
		if err := p.check(file[p.offset:]); err != nil {
			return l, nil, nil, nil, fmt.Errorf("column %q, row group %d: %w", c.name, g, err)
		}
	}
	return l, pages, file, grown, nil
}

// bytes returns a chunk's bytes: of the mapped file, or read into buf.
func (r *Reader) bytes(c rawChunk, buf []byte) (file, grown []byte, err error) {
	start := c.start()
	if r.mapped != nil {
		r.need(start, c.size)
		return r.mapped[start : start+c.size], buf, nil
	}
	if r.src == nil {
		return nil, nil, fmt.Errorf("column %q: shard is closed", c.name)
	}
	buf = slices.Grow(buf[:0], int(c.size))[:c.size]
	if err := readFull(r.src, buf, start); err != nil {
		return nil, nil, fmt.Errorf("column %q: %w", c.name, err)
	}
	return buf, buf, nil
}

// Mapped reports whether the file lies in memory, so that one-page row groups are read without a copy.
func (r *Reader) Mapped() bool { return r.mapped != nil }
