package shard

// Span is a range of a file's bytes.
type Span struct{ Off, Size int64 }

// End is the first byte behind it.
func (s Span) End() int64 { return s.Off + s.Size }

// Chunk is where the pages of a column, scalar or vector, lie for row group g. It lets others fetch or copy a column
// without reading it; ok is false where there is no column of that name.
func (r *Reader) Chunk(g int, column string) (s Span, ok bool) {
	for _, c := range r.groups[g].chunks {
		if c.name == column {
			return Span{c.start(), c.size}, true
		}
	}
	return s, false
}

// FooterSize is the length of the part of a shard that ends with the 8 bytes given: what NewReader reads of a file
// that is not in memory.
func FooterSize(tail [8]byte, size int64) (int64, error) {
	n, err := footerLength(tail, size)
	return n + int64(len(tail)), err
}
