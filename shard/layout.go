package shard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// A vector column's pages are so regular that their bytes around the values are a pure function of the row count, the
// width and the dtype. This file is that function. The Writer copies it and the Reader compares it, so values are
// found by arithmetic and a damaged header is noticed.

// Page sizes: a row group that fits into onePage bytes is one page, so that a reader gets it whole without a copy;
// otherwise pages of equal row counts of at most splitPage bytes, which fit into a core's second-level cache and stay
// below the size where general readers slow down.
const (
	onePage   = 1 << 20
	splitPage = 512 << 10
)

// layout places the values of one vector column.
type layout struct {
	width    int
	rowBytes int
	pageRows int
	full     []byte // prefix of a page of pageRows rows
}

func newLayout(v Vector, pageRows int) layout {
	l := layout{width: v.Width, rowBytes: v.RowBytes(), pageRows: pageRows}
	l.full = l.prefix(pageRows)
	return l
}

// prefix is what stands before the values of a page of so many rows: header, repetition levels, definition levels.
func (l layout) prefix(rows int) []byte {
	if rows == l.pageRows && l.full != nil {
		return l.full
	}
	rep, def := repetitionLevels(rows, l.width), definitionLevels(rows*l.width)
	header := pageHeader(rows, l.width, rows*l.rowBytes, len(rep), len(def))
	return slices.Concat(padHeader(header, len(rep)+len(def)), rep, def)
}

// page is one page of a chunk: rows [first, first+rows), whose bytes begin at offset in the chunk.
type page struct {
	first, rows int
	offset      int64
	prefix      []byte
}

// pages lists the pages of a chunk of so many rows.
func (l layout) pages(rows int) []page {
	pages := make([]page, 0, (rows+l.pageRows-1)/l.pageRows)
	var offset int64
	for first := 0; first < rows; first += l.pageRows {
		n := min(l.pageRows, rows-first)
		p := page{first: first, rows: n, offset: offset, prefix: l.prefix(n)}
		pages = append(pages, p)
		offset += int64(len(p.prefix)) + int64(n)*int64(l.rowBytes)
	}
	return pages
}

// chunkSize is the size of a chunk of so many rows.
func (l layout) chunkSize(rows int) int64 {
	size := int64(rows)*int64(l.rowBytes) + int64(rows/l.pageRows)*int64(len(l.full))
	if rest := rows % l.pageRows; rest > 0 {
		size += int64(len(l.prefix(rest)))
	}
	return size
}

// check returns ErrCorrupt unless b begins with the prefix of the page.
func (p page) check(b []byte) error {
	if !bytes.HasPrefix(b, p.prefix) {
		return fmt.Errorf("%w: page header at row %d of the row group", ErrCorrupt, p.first)
	}
	return nil
}

// repetitionLevels encodes, per row, one 0 (a list begins) and width-1 times 1 (it goes on), as RLE runs of bit width 1:
// a run is uvarint(length·2) and the level. Page version 2 has no length in front.
func repetitionLevels(rows, width int) []byte {
	if width == 1 {
		return rleRun(nil, rows, 0)
	}
	row := rleRun(rleRun(nil, 1, 0), width-1, 1)
	return bytes.Repeat(row, rows)
}

// definitionLevels encodes that all values are there.
func definitionLevels(values int) []byte { return rleRun(nil, values, 1) }

func rleRun(b []byte, length int, level byte) []byte {
	return append(binary.AppendUvarint(b, uint64(length)<<1), level)
}

// pageHeader is the Thrift compact encoding of a Parquet PageHeader for a DATA_PAGE_V2, PLAIN, uncompressed, without
// CRC. A field is a byte (step of the field id << 4 | type) and its value; 5 is an i32 in zigzag, 12 a struct, 2 false.
func pageHeader(rows, width, data, rep, def int) []byte {
	const i32, structure, isFalse = 0x15, 0x0c, 0x12
	size := rep + def + data
	var b []byte
	b = zigzag(append(b, i32), 3)          // 1 type: DATA_PAGE_V2
	b = zigzag(append(b, i32), size)       // 2 uncompressed_page_size
	b = zigzag(append(b, i32), size)       // 3 compressed_page_size
	b = append(b, 5<<4|structure)          // 8 data_page_header_v2
	b = zigzag(append(b, i32), rows*width) // 8.1 num_values
	b = zigzag(append(b, i32), 0)          // 8.2 num_nulls
	b = zigzag(append(b, i32), rows)       // 8.3 num_rows
	b = zigzag(append(b, i32), 0)          // 8.4 encoding: PLAIN
	b = zigzag(append(b, i32), def)        // 8.5 definition_levels_byte_length
	b = zigzag(append(b, i32), rep)        // 8.6 repetition_levels_byte_length
	return append(b, isFalse, 0, 0)        // 8.7 is_compressed, end of 8, end of all
}

// padHeader lengthens a header so that it and the levels are a multiple of alignment: by a field of the id that Parquet
// reserves for extensions, which every reader skips, holding zeros.
func padHeader(header []byte, levels int) []byte {
	const extension = 32767
	field := append(header[:len(header)-1:len(header)-1], 8)
	field = binary.AppendVarint(field, extension)
	n := gap(int64(len(field) + 1 + 1 + levels)) // with a length of one byte and the end of the header
	field = append(field, byte(n))
	return append(field, make([]byte, n+1)...)
}

// alignment is what the offset of a page's values is a multiple of, where the size of the page before allows it: a cache
// line. The kernel copies aligned memory faster, and mapped values can be used as numbers where they lie.
const alignment = 64

// gap is how much is missing at offset to the next multiple of alignment.
func gap(offset int64) int { return int(-offset & (alignment - 1)) }

func zigzag(b []byte, v int) []byte { return binary.AppendVarint(b, int64(v)) }
