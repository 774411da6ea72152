package shard

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// columnDecoder collects the values of one scalar column from its pages.
type columnDecoder struct {
	t          Type
	rows       int // no more values than these
	dictionary any // nil before a dictionary page
	out        any
}

func (d *columnDecoder) page(p rawPage, body []byte) error {
	switch {
	case p.kind == format.DictionaryPage && p.encoding == format.Plain && d.dictionary == nil:
		values, err := plain(body, d.t, p.values)
		d.dictionary = values
		return err
	case p.kind != format.DataPageV2:
		return fmt.Errorf("%w: page of kind %d", ErrSchema, p.kind)
	}
	if n, _ := columnLen(d.out, d.t); p.values > int64(d.rows-n) {
		return fmt.Errorf("%w: more than %d values", ErrCorrupt, d.rows)
	}
	values, err := d.data(p, body)
	if err != nil {
		return err
	}
	d.out = appendColumn(d.out, values)
	return nil
}

func (d *columnDecoder) data(p rawPage, body []byte) (any, error) {
	switch p.encoding {
	case format.Plain:
		return plain(body, d.t, p.values)
	case format.RLEDictionary:
		indexes, err := hybrid(body, int(p.values))
		if err != nil {
			return nil, err
		}
		return pick(d.dictionary, indexes)
	}
	return nil, fmt.Errorf("%w: page with encoding %d", ErrSchema, p.encoding)
}

// plain decodes exactly n values of Parquet's PLAIN encoding.
func plain(b []byte, t Type, n int64) (any, error) {
	size := map[Type]int64{Int64: 8, Int32: 4, Float32: 4, Float64: 8}[t]
	switch {
	case t == String:
		return plainStrings(b, n)
	case t == Bool && int64(len(b)) == (n+7)/8:
		return fixed(n, func(i int) bool { return b[i/8]>>(i%8)&1 == 1 }), nil
	case size == 0 || n > int64(len(b)) || int64(len(b)) != n*size:
		return nil, fmt.Errorf("%w: %d values of type %s in %d bytes", ErrCorrupt, n, t, len(b))
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	u64 := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	switch t {
	case Int64:
		return fixed(n, func(i int) int64 { return int64(u64(i)) }), nil
	case Int32:
		return fixed(n, func(i int) int32 { return int32(u32(i)) }), nil
	case Float32:
		return fixed(n, func(i int) float32 { return math.Float32frombits(u32(i)) }), nil
	}
	return fixed(n, func(i int) float64 { return math.Float64frombits(u64(i)) }), nil
}

func fixed[T any](n int64, at func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = at(i)
	}
	return out
}

// plainStrings decodes n strings, each a length of 4 bytes and its bytes.
func plainStrings(b []byte, n int64) (any, error) {
	if n > int64(len(b))/4 {
		return nil, fmt.Errorf("%w: %d strings in %d bytes", ErrCorrupt, n, len(b))
	}
	all := string(b) // the strings share it
	out := make([]string, n)
	at := 0
	for i := range out {
		if len(b)-at < 4 {
			return nil, fmt.Errorf("%w: string %d of %d is cut off", ErrCorrupt, i, n)
		}
		length := uint64(binary.LittleEndian.Uint32(b[at:]))
		at += 4
		if length > uint64(len(b)-at) {
			return nil, fmt.Errorf("%w: string of %d bytes, %d are left", ErrCorrupt, length, len(b)-at)
		}
		out[i] = all[at : at+int(length)]
		at += int(length)
	}
	if at != len(b) {
		return nil, fmt.Errorf("%w: %d bytes after the last string", ErrCorrupt, len(b)-at)
	}
	return out, nil
}

// hybrid decodes n dictionary indexes: a byte with the bit width, then runs. A run is a uvarint: with bit 0 clear,
// length·2 and one value in whole bytes; with bit 0 set, groups·2+1 and groups of 8 values, packed from the low bit.
func hybrid(b []byte, n int) ([]uint32, error) {
	if len(b) == 0 || b[0] > 32 {
		return nil, fmt.Errorf("%w: dictionary indexes without a width", ErrCorrupt)
	}
	width := int(b[0])
	b = b[1:]
	out := make([]uint32, 0, n)
	for len(out) < n {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			return nil, fmt.Errorf("%w: dictionary indexes end at %d of %d", ErrCorrupt, len(out), n)
		}
		b = b[k:]
		take := min(uint64(n-len(out)), head>>1<<(3*(head&1))) // groups hold 8
		size := (width + 7) / 8
		if head&1 == 1 {
			size = (int(take)*width + 7) / 8
		}
		if take == 0 || len(b) < size {
			return nil, fmt.Errorf("%w: run of dictionary indexes at %d of %d", ErrCorrupt, len(out), n)
		}
		for i := range int(take) {
			out = append(out, bits(b, i*width*int(head&1), width))
		}
		b = b[size:]
	}
	return out, nil
}

// bits reads width bits at bit offset at, the low ones first.
func bits(b []byte, at, width int) uint32 {
	var v uint64
	for i := 0; i < 5 && at/8+i < len(b); i++ {
		v |= uint64(b[at/8+i]) << (8 * i)
	}
	return uint32(v >> (at % 8) & (1<<width - 1))
}

// pick looks indexes up in a dictionary.
func pick(dictionary any, indexes []uint32) (any, error) {
	switch d := dictionary.(type) {
	case []string:
		return lookUp(d, indexes)
	case []int64:
		return lookUp(d, indexes)
	case []int32:
		return lookUp(d, indexes)
	case []float32:
		return lookUp(d, indexes)
	case []float64:
		return lookUp(d, indexes)
	}
	return nil, fmt.Errorf("%w: dictionary indexes without a dictionary", ErrCorrupt)
}

func lookUp[T any](dictionary []T, indexes []uint32) (any, error) {
	out := make([]T, len(indexes))
	for i, at := range indexes {
		if uint64(at) >= uint64(len(dictionary)) {
			return nil, fmt.Errorf("%w: entry %d of a dictionary of %d", ErrCorrupt, at, len(dictionary))
		}
		out[i] = dictionary[at]
	}
	return out, nil
}

func appendColumn(a, b any) any {
	switch a := a.(type) {
	case []int64:
		return append(a, b.([]int64)...)
	case []int32:
		return append(a, b.([]int32)...)
	case []float32:
		return append(a, b.([]float32)...)
	case []float64:
		return append(a, b.([]float64)...)
	case []bool:
		return append(a, b.([]bool)...)
	}
	return append(a.([]string), b.([]string)...)
}
