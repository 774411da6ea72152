package pickle

import (
	"encoding/binary"
	"fmt"
	"strings"

	"actfleet/internal/archive"
	"actfleet/internal/array"
	"actfleet/internal/safetensors"
)

// Save writes a dictionary as torch.save does.
func Save(path string, d *Dict) error {
	code, arrays, err := encode(d)
	if err != nil {
		return err
	}
	parts := []archive.Part{{Name: "archive/data.pkl", Data: code}, {Name: "archive/byteorder", Data: []byte("little")}}
	for i, a := range arrays {
		parts = append(parts, archive.Part{Name: fmt.Sprintf("archive/data/%d", i), Data: a.Bytes()})
	}
	return archive.Save(path, append(parts, archive.Part{Name: "archive/version", Data: []byte("3\n")}))
}

// encode is the instructions that build a dictionary, and its arrays by the number of their storage.
func encode(d *Dict) (code []byte, arrays []array.Array, err error) {
	p := &pickler{}
	p.op(opProto, 2)
	if err := p.dict(d); err != nil {
		return nil, nil, err
	}
	p.op(opStop)
	return p.out, p.arrays, nil
}

type pickler struct {
	out    []byte
	arrays []array.Array
}

func (p *pickler) op(b ...byte) { p.out = append(p.out, b...) }

func (p *pickler) global(name string) {
	module, attr, _ := strings.Cut(name, " ")
	p.out = append(p.out, fmt.Sprintf("c%s\n%s\n", module, attr)...)
}

func (p *pickler) text(s string) {
	p.op(opUnicode)
	p.out = binary.LittleEndian.AppendUint32(p.out, uint32(len(s)))
	p.out = append(p.out, s...)
}

func (p *pickler) int(n int) {
	if n == int(int32(n)) {
		p.op(opInt)
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(int32(n)))
		return
	}
	p.op(opBig, 8)
	p.out = binary.LittleEndian.AppendUint64(p.out, uint64(int64(n)))
}

func (p *pickler) dict(d *Dict) error {
	p.global(orderedDict)
	p.op(opEmptyTuple, opReduce, opMark)
	for i, key := range d.Keys {
		p.text(key)
		if err := p.value(d.Values[i]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	p.op(opSetItems)
	return nil
}

func (p *pickler) value(v any) error {
	switch v := v.(type) {
	case array.Array:
		return p.array(v)
	case string:
		p.text(v)
	case int:
		p.int(v)
	case bool:
		p.op(map[bool]byte{true: opTrue, false: opFalse}[v])
	case *Dict:
		return p.dict(v)
	default:
		return fmt.Errorf("a %T cannot be written", v)
	}
	return nil
}

// array calls torch's function that makes an array of a storage: (storage, offset, shape, steps, requires_grad,
// hooks).
func (p *pickler) array(a array.Array) error {
	class := className(a.Dtype)
	if class == "" {
		return fmt.Errorf("an array of %s cannot be written", a.Dtype)
	}
	p.global(rebuildTensor)
	p.op(opMark, opMark)
	p.text("storage")
	p.global(class)
	p.text(fmt.Sprint(len(p.arrays)))
	p.text("cpu")
	p.int(array.Elements(a.Shape))
	p.op(opTuple, opPersID)
	p.int(0)
	p.ints(a.Shape)
	p.ints(array.RowMajor(a.Shape))
	p.op(opFalse)
	p.global(orderedDict)
	p.op(opEmptyTuple, opReduce, opTuple, opReduce)
	p.arrays = append(p.arrays, a)
	return nil
}

// className is the class of a type's storage.
func className(d safetensors.Dtype) string {
	for name, of := range storages {
		if of == d {
			return name
		}
	}
	return ""
}

func (p *pickler) ints(v []int) {
	p.op(opMark)
	for _, n := range v {
		p.int(n)
	}
	p.op(opTuple)
}
