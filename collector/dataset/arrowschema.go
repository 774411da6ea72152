package dataset

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The Arrow library makes as many fields as a schema says it has before it looks at the first of them, and follows fields
// that are their own children: memory and stack run out, which no recover catches. So a schema is walked here first.
// The numbers of the fields are those of Arrow's format/Message.fbs, Schema.fbs and File.fbs; a field's slot in the
// table of offsets is 4 + 2 × its number.
const (
	arrowMagic       = "ARROW1"
	arrowContinues   = 0xffffffff // before the length of a message, since format 0.15
	messageHeader    = 4 + 2*2
	footerSchema     = 4 + 2*1
	schemaFields     = 4 + 2*1
	schemaMetadata   = 4 + 2*2
	fieldType        = 4 + 2*3
	fieldChildren    = 4 + 2*5
	fieldMetadata    = 4 + 2*6
	unionTypeIDs     = 4 + 2*1
	fieldKind        = 4 + 2*2
	kindUnion        = 14
	maxArrowSchema   = 64 << 20
	maxArrowChildren = 64 // deep
)

// checkStreamSchema reads the first message's metadata, checks the schema in it, and gives the whole stream again.
func checkStreamSchema(in io.Reader) (io.Reader, error) {
	var head [8]byte
	n := 4
	if _, err := io.ReadFull(in, head[:4]); err != nil {
		return nil, arrowError(err)
	}
	size := binary.LittleEndian.Uint32(head[:4])
	if size == arrowContinues {
		n = 8
		if _, err := io.ReadFull(in, head[4:]); err != nil {
			return nil, arrowError(err)
		}
		size = binary.LittleEndian.Uint32(head[4:])
	}
	if size > maxArrowSchema {
		return nil, damagedArrow("a schema of %d bytes", size)
	}
	// What is there decides how much is allocated, not what the length says.
	var metadata bytes.Buffer
	if _, err := io.CopyN(&metadata, in, int64(size)); err != nil {
		return nil, arrowError(err)
	}
	if size > 0 {
		if err := checkSchema(metadata.Bytes(), messageHeader); err != nil {
			return nil, err
		}
	}
	return io.MultiReader(bytes.NewReader(head[:n]), &metadata, in), nil
}

// checkFileSchema checks the schema in the footer of a file.
func checkFileSchema(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := int64(4 + len(arrowMagic))
	tail := make([]byte, end)
	if _, err := f.ReadAt(tail, info.Size()-end); err != nil {
		return arrowError(err)
	}
	size := int64(binary.LittleEndian.Uint32(tail))
	if size == 0 || size > maxArrowSchema || size+end > info.Size() {
		return damagedArrow("a footer of %d bytes", size)
	}
	footer := make([]byte, size)
	if _, err := f.ReadAt(footer, info.Size()-end-size); err != nil {
		return arrowError(err)
	}
	return checkSchema(footer, footerSchema)
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
