package shard

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"actfleet/internal/mapped"
)

// Scalars returns the named scalar columns of row group g, all in schema order if none is named: []int64, []int32,
// []float32, []float64, []bool or []string by the schema, GroupRows(g) values each.
func (r *Reader) Scalars(g int, names ...string) (values []any, err error) {
	defer mapped.Guard(&err)()
	if g < 0 || g >= len(r.groups) {
		return nil, fmt.Errorf("%w: no row group %d", ErrSchema, g)
	}
	if len(names) == 0 {
		for _, s := range r.schema.Scalars {
			names = append(names, s.Name)
		}
	}
	out := make([]any, len(names))
	for i, name := range names {
		col, ok := r.schema.ScalarIndex(name)
		if !ok {
			return nil, fmt.Errorf("%w: no scalar column %q", ErrSchema, name)
		}
		c := r.groups[g].chunks[col]
		data, _, err := r.bytes(c, nil)
		if err == nil {
			out[i], err = decodeScalars(data, c.codec, r.schema.Scalars[col].Type, int(r.groups[g].rows))
		}
		if err != nil {
			return nil, fmt.Errorf("column %q, row group %d: %w", name, g, err)
		}
	}
	return out, nil
}

// rawPage is a page of a scalar column, before it is believed.
type rawPage struct {
	kind         format.PageType
	size, plain  int64 // as stored, as decoded
	values       int64
	encoding     format.Encoding
	levels       int64
	uncompressed bool
}

// decodeScalars decodes the pages of a chunk: version 2, PLAIN or dictionary. It allocates at most a small multiple of
// the chunk's size, since snappy packs no more than 64 bytes into 3.
func decodeScalars(data []byte, codec int64, t Type, rows int) (any, error) {
	d := columnDecoder{t: t, rows: rows, out: newColumn(t, 0)}
	for len(data) > 0 {
		p, rest, err := readPageHeader(data)
		if err != nil {
			return nil, err
		}
		body := rest[:p.size]
		data = rest[p.size:]
		if codec == int64(format.Snappy) && !p.uncompressed {
			if body, err = unsnap(body, p.plain); err != nil {
				return nil, err
			}
		}
		if err := d.page(p, body); err != nil {
			return nil, err
		}
	}
	if n, err := columnLen(d.out, t); err != nil || n != rows {
		return nil, fmt.Errorf("%w: %d values of %d", ErrCorrupt, n, rows)
	}
	return d.out, nil
}

// snappyRatio is above the greatest ratio of the format: a copy of 64 bytes takes 3.
const snappyRatio = 22

func unsnap(b []byte, plain int64) ([]byte, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n != uint64(plain) || plain > snappyRatio*int64(len(b)) {
		return nil, fmt.Errorf("%w: snappy page of %d bytes claims %d", ErrCorrupt, len(b), plain)
	}
	out, err := parquet.Snappy.Decode(make([]byte, plain), b)
	if err != nil || int64(len(out)) != plain {
		return nil, fmt.Errorf("%w: snappy page: %v", ErrCorrupt, err)
	}
	return out, nil
}

// readPageHeader decodes the header at the beginning of data, and returns what follows it, at least the page's size.
func readPageHeader(data []byte) (p rawPage, rest []byte, err error) {
	c := &cursor{b: data}
	c.structure(thriftStruct, func(id int16, t byte) {
		switch id {
		case 1:
			p.kind = format.PageType(c.number(t))
		case 2:
			p.plain = c.number(t)
		case 3:
			p.size = c.number(t)
		case 7, 8:
			c.structure(t, func(id int16, t byte) { c.pageField(&p, id, t) })
		default:
			c.skip(t)
		}
	})
	if c.err != nil {
		return p, nil, c.err
	}
	rest = data[c.off:]
	if p.size < 0 || p.size > int64(len(rest)) || p.plain < 0 || p.values < 0 || p.levels != 0 {
		return p, nil, fmt.Errorf("%w: page of %d values in %d bytes, %d are left", ErrCorrupt, p.values, p.size, len(rest))
	}
	return p, rest, nil
}

// pageField reads a field of a DictionaryPageHeader or a DataPageHeaderV2.
func (c *cursor) pageField(p *rawPage, id int16, t byte) {
	dictionary := p.kind == format.DictionaryPage
	switch {
	case id == 1:
		p.values = c.number(t)
	case dictionary && id == 2, !dictionary && id == 4:
		p.encoding = format.Encoding(c.number(t))
	case !dictionary && (id == 5 || id == 6):
		p.levels |= c.number(t)
	case !dictionary && id == 7:
		p.uncompressed = !c.boolean(t)
	default:
		c.skip(t)
	}
}

// boolean reads a field whose value is its type.
func (c *cursor) boolean(t byte) bool {
	if t != thriftTrue && t != thriftFalse {
		c.fail("expected a truth value")
	}
	return t == thriftTrue
}
