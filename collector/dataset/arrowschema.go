package dataset

import (
	"encoding/binary"
	"os"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The Arrow library makes as many fields as a schema says it has before it looks at the first of them, and follows fields
// that are their own children: memory and stack run out, which no recover catches. So a schema is walked here first.
// The numbers of the fields are those of Arrow's format/Message.fbs, Schema.fbs and File.fbs; a field's slot in the
// table of offsets is 4 + 2 × its number.
const (
	arrowMagic         = "ARROW1"
	arrowContinues     = 0xffffffff // before the length of a message, since format 0.15
	messageHeader      = 4 + 2*2
	messageBody        = 4 + 2*3
	footerSchema       = 4 + 2*1
	footerDictionaries = 4 + 2*2
	footerBatches      = 4 + 2*3
	blockSize          = 24 // offset int64, length of the metadata int32, 4 bytes of padding, length of the body int64
	schemaFields       = 4 + 2*1
	schemaMetadata     = 4 + 2*2
	fieldType          = 4 + 2*3
	fieldChildren      = 4 + 2*5
	fieldMetadata      = 4 + 2*6
	unionTypeIDs       = 4 + 2*1
	fieldKind          = 4 + 2*2
	kindUnion          = 14
	maxArrowSchema     = 64 << 20
	maxArrowChildren   = 64 // deep
)

// checkArrowFile checks the footer of a file: its schema, and that the blocks of data it names lie in the file. It
// returns the file's size.
func checkArrowFile(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := int64(4 + len(arrowMagic))
	tail := make([]byte, end)
	if _, err := f.ReadAt(tail, info.Size()-end); err != nil {
		return 0, arrowError(err)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if length == 0 || length > maxArrowSchema || length+end > info.Size() {
		return 0, damagedArrow("a footer of %d bytes", length)
	}
	footer := make([]byte, length)
	if _, err := f.ReadAt(footer, info.Size()-end-length); err != nil {
		return 0, arrowError(err)
	}
	for _, slot := range []flatbuffers.VOffsetT{footerDictionaries, footerBatches} {
		if err := checkBlocks(footer, slot, info.Size()); err != nil {
			return 0, err
		}
	}
	return info.Size(), checkSchema(footer, footerSchema)
}

// checkBlocks checks where a vector of blocks in a footer says that they lie in a file of so many bytes.
func checkBlocks(footer []byte, slot flatbuffers.VOffsetT, size int64) error {
	root := flatbuffers.Table{Bytes: footer, Pos: flatbuffers.GetUOffsetT(footer)}
	o := flatbuffers.UOffsetT(root.Offset(slot))
	if o == 0 {
		return nil
	}
	first := root.Vector(o)
	for i := range root.VectorLen(o) {
		at := first + flatbuffers.UOffsetT(i*blockSize)
		offset, metadata, body := root.GetInt64(at), int64(root.GetInt32(at+8)), root.GetInt64(at+16)
		if offset < 0 || metadata < 8 || body < 0 || offset > size || metadata > min(size-offset, maxArrowSchema) || body > size-offset-metadata {
			return damagedArrow("block %d has %d and %d bytes from byte %d on, the file %d", i, metadata, body, offset, size)
		}
	}
	return nil
}

// checkSchema walks the schema that slot of the root table of b holds. What lies outside b panics, which the callers'
// rescueArrow makes an error.
func checkSchema(b []byte, slot flatbuffers.VOffsetT) error {
	w := &schemaWalk{left: len(b)}
	root := flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
	schema, ok := subTable(root, slot)
	if !ok {
		return nil // the library says so in its own words
	}
	if err := w.count(schema, schemaMetadata); err != nil {
		return err
	}
	return w.fields(schema, schemaFields, 0)
}

// schemaWalk counts what a schema claims to have: no more than it has bytes.
type schemaWalk struct{ left int }

func (w *schemaWalk) count(t flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	if o := t.Offset(slot); o != 0 {
		w.left -= 4 * t.VectorLen(flatbuffers.UOffsetT(o))
	}
	if w.left < 0 {
		return damagedArrow("a schema with more fields than bytes")
	}
	return nil
}

// fields walks the fields in a vector of t.
func (w *schemaWalk) fields(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) error {
	if depth > maxArrowChildren {
		return damagedArrow("fields more than %d deep", maxArrowChildren)
	}
	if err := w.count(t, slot); err != nil {
		return err
	}
	o := t.Offset(slot)
	if o == 0 {
		return nil
	}
	first := t.Vector(flatbuffers.UOffsetT(o))
	for i := range t.VectorLen(flatbuffers.UOffsetT(o)) {
		field := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(first + flatbuffers.UOffsetT(4*i))}
		if err := w.count(field, fieldMetadata); err != nil {
			return err
		}
		if k := field.Offset(fieldKind); k != 0 && field.GetByte(field.Pos+flatbuffers.UOffsetT(k)) == kindUnion {
			if union, ok := subTable(field, fieldType); ok {
				if err := w.count(union, unionTypeIDs); err != nil {
					return err
				}
			}
		}
		if err := w.fields(field, fieldChildren, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// subTable is the table in a slot of t, if t has it.
func subTable(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := t.Offset(slot)
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + flatbuffers.UOffsetT(o))}, true
}
