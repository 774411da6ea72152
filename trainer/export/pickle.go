package export

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
)

// dict is an ordered dictionary of a .pt file; values are array, string, int and *dict.
type dict struct {
	keys   []string
	values []any
}

func (d *dict) add(key string, v any) {
	d.keys, d.values = append(d.keys, key), append(d.values, v)
}

func (d *dict) get(key string) any {
	if i := slices.Index(d.keys, key); i >= 0 {
		return d.values[i]
	}
	return nil
}

// arrays are the values that are arrays.
func (d *dict) arrays() arrays {
	out := arrays{}
	for i, v := range d.values {
		if a, ok := v.(array); ok {
			a.name = d.keys[i]
			out[a.name] = a
		}
	}
	return out
}

func ofArrays(list []array) *dict {
	d := &dict{}
	for _, a := range list {
		d.add(a.name, a)
	}
	return d
}

// Names that a .pt file refers to.
const (
	rebuildTensor = "torch._utils _rebuild_tensor_v2"
	orderedDict   = "collections OrderedDict"
	floatStorage  = "torch FloatStorage"
	longStorage   = "torch LongStorage"
	intStorage    = "torch IntStorage"
)

// Instructions of pickle protocol 2 (Python's pickletools names them).
const (
	opProto, opStop, opMark                 = 0x80, '.', '('
	opGlobal, opReduce, opPersID            = 'c', 'R', 'Q'
	opTuple, opEmptyTuple                   = 't', ')'
	opTuple1, opTuple2, opTuple3            = 0x85, 0x86, 0x87
	opEmptyDict, opSetItem, opSetItems      = '}', 's', 'u'
	opUnicode, opInt, opInt1, opInt2, opBig = 'X', 'J', 'K', 'M', 0x8a
	opTrue, opFalse, opNone                 = 0x88, 0x89, 'N'
	opPut, opPutLong, opGet, opGetLong      = 'q', 'r', 'h', 'j'
	opBuild                                 = 'b'
)

// saveTorch writes a dictionary as torch.save does: an archive of one pickle and the arrays' values.
func saveTorch(path string, d *dict) error {
	p := &pickler{}
	p.op(opProto, 2)
	if err := p.dict(d); err != nil {
		return err
	}
	p.op(opStop)
	parts := []part{{"archive/data.pkl", p.out}, {"archive/byteorder", []byte("little")}}
	for i, a := range p.arrays {
		parts = append(parts, part{fmt.Sprintf("archive/data/%d", i), a.bytes()})
	}
	return saveZip(path, append(parts, part{"archive/version", []byte("3\n")}))
}

// pickler writes the instructions that build a dictionary.
type pickler struct {
	out    []byte
	arrays []array // by number of their storage
}

func (p *pickler) op(b ...byte) { p.out = append(p.out, b...) }

func (p *pickler) global(name string) {
	var module, attr string
	fmt.Sscan(name, &module, &attr)
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
	raw := binary.LittleEndian.AppendUint64(nil, uint64(int64(n)))
	p.op(opBig, byte(len(raw)))
	p.op(raw...)
}

func (p *pickler) dict(d *dict) error {
	p.global(orderedDict)
	p.op(opEmptyTuple, opReduce, opMark)
	for i, key := range d.keys {
		p.text(key)
		if err := p.value(d.values[i]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	p.op(opSetItems)
	return nil
}

func (p *pickler) value(v any) error {
	switch v := v.(type) {
	case array:
		p.array(v)
	case string:
		p.text(v)
	case int:
		p.int(v)
	case *dict:
		return p.dict(v)
	default:
		return fmt.Errorf("a %T cannot be written", v)
	}
	return nil
}

// array calls torch's function that makes an array of a storage: (storage, offset, shape, strides,
// requires_grad, hooks).
func (p *pickler) array(a array) {
	class := map[bool]string{true: floatStorage, false: longStorage}[isFloat(a.data)]
	if _, ok := a.data.([]int32); ok {
		class = intStorage
	}
	p.global(rebuildTensor)
	p.op(opMark, opMark)
	p.text("storage")
	p.global(class)
	p.text(fmt.Sprint(len(p.arrays)))
	p.text("cpu")
	p.int(elements(a.shape))
	p.op(opTuple, opPersID)
	p.int(0)
	p.ints(a.shape)
	p.ints(strides(a.shape))
	p.op(opFalse)
	p.global(orderedDict)
	p.op(opEmptyTuple, opReduce, opTuple, opReduce)
	p.arrays = append(p.arrays, a)
}

func (p *pickler) ints(v []int) {
	p.op(opMark)
	for _, n := range v {
		p.int(n)
	}
	p.op(opTuple)
}

// strides of a row-major array.
func strides(shape []int) []int {
	out := make([]int, len(shape))
	for i, n := len(shape)-1, 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// bigInt reads a little-endian two's complement number that fits an int.
func bigInt(raw []byte) (int, bool) {
	n := new(big.Int)
	for i := len(raw) - 1; i >= 0; i-- {
		n.Lsh(n, 8).Or(n, big.NewInt(int64(raw[i])))
	}
	if len(raw) > 0 && raw[len(raw)-1] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	return int(n.Int64()), n.IsInt64()
}
