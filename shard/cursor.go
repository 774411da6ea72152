package shard

import (
	"encoding/binary"
	"fmt"
)

// cursor reads Thrift's compact encoding from untrusted bytes. It allocates nothing by a size that the bytes claim,
// and stops at the first error, which it keeps; after it every read gives zero. Parquet-go's decoder makes a list as
// long as its header says before it reads an element, so footers of others do not go through it.
type cursor struct {
	b     []byte
	off   int
	depth int
	err   error
}

// The compact type codes.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI8     = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// maxDepth bounds the recursion; Parquet's own metadata is less than 8 deep.
const maxDepth = 16

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s at byte %d of %d of the metadata", ErrCorrupt, what, c.off, len(c.b))
	}
}

func (c *cursor) byte() byte {
	if c.err != nil || c.off >= len(c.b) {
		c.fail("unexpected end")
		return 0
	}
	c.off++
	return c.b[c.off-1]
}

func (c *cursor) uvarint() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.off:])
	if n <= 0 {
		c.fail("bad number")
		return 0
	}
	c.off += n
	return v
}

func (c *cursor) take(n uint64) []byte {
	if c.err != nil || n > uint64(len(c.b)-c.off) {
		c.fail("unexpected end")
		return nil
	}
	b := c.b[c.off : c.off+int(n)]
	c.off += int(n)
	return b
}

// number reads an integer field.
func (c *cursor) number(t byte) int64 {
	if t < thriftI16 || t > thriftI64 {
		c.fail("expected a number")
	}
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// text reads a binary field.
func (c *cursor) text(t byte) string {
	if t != thriftBinary {
		c.fail("expected a string")
	}
	return string(c.take(c.uvarint()))
}

// structure calls field for each field of a struct; field reads the value or skips it.
func (c *cursor) structure(t byte, field func(id int16, t byte)) {
	if t != thriftStruct {
		c.fail("expected a structure")
	}
	c.enter()
	defer c.leave()
	var id int16
	for c.err == nil {
		head := c.byte()
		if head == 0 {
			return
		}
		if step := head >> 4; step != 0 {
			id += int16(step)
		} else {
			id = int16(c.number(thriftI16))
		}
		field(id, head&0xf)
	}
}

// list calls element for each element of a list.
func (c *cursor) list(t byte, element func(t byte)) {
	if t != thriftList && t != thriftSet {
		c.fail("expected a list")
	}
	c.enter()
	defer c.leave()
	head := c.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = c.uvarint()
	}
	if n > uint64(len(c.b)-c.off) { // an element takes a byte at least
		c.fail("list longer than the file")
	}
	for ; n > 0 && c.err == nil; n-- {
		element(head & 0xf)
	}
}

func (c *cursor) enter() {
	if c.depth++; c.depth > maxDepth {
		c.fail("nested too deep")
	}
}

func (c *cursor) leave() { c.depth-- }

// skip passes over a field.
func (c *cursor) skip(t byte) {
	switch t {
	case thriftTrue, thriftFalse: // the value is in the type
	case thriftI8:
		c.byte()
	case thriftI16, thriftI32, thriftI64:
		c.uvarint()
	case thriftDouble:
		c.take(8)
	case thriftBinary:
		c.take(c.uvarint())
	case thriftList, thriftSet:
		c.list(t, c.skipElement)
	case thriftMap:
		c.skipMap()
	case thriftStruct:
		c.structure(t, func(_ int16, t byte) { c.skip(t) })
	case thriftUUID:
		c.take(16)
	default:
		c.fail("unknown type")
	}
}

// skipElement passes over an element of a list, where truth values take a byte.
func (c *cursor) skipElement(t byte) {
	if t == thriftTrue || t == thriftFalse {
		c.byte()
		return
	}
	c.skip(t)
}

func (c *cursor) skipMap() {
	n := c.uvarint()
	if n == 0 {
		return
	}
	types := c.byte()
	for ; n > 0 && c.err == nil; n-- {
		c.skipElement(types >> 4)
		c.skipElement(types & 0xf)
	}
}
