package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// maxHeader is the longest header read, as in the reference implementation.
const maxHeader = 100_000_000

// metadataKey is the header entry that holds strings instead of a tensor.
const metadataKey = "__metadata__"

// Info describes one tensor of a file.
type Info struct {
	Name  string
	Dtype Dtype
	Shape []int64 // dimensions, outermost first; empty for a scalar
	Size  int64   // bytes

	begin int64 // of the data section
}

// Elements is the number of elements, 1 for a scalar.
func (i Info) Elements() int64 { return i.Size / int64(i.Dtype.Size()) }

// header is a parsed and fully checked header. base is where the data begins.
type header struct {
	tensors []Info // in the order of the data
	meta    map[string]string
	base    int64
}

// parse checks the whole layout of a file given its bytes.
func parse(data []byte) (header, error) {
	if len(data) == 0 {
		return header{}, fmt.Errorf("%w: empty file", ErrCorrupt)
	}
	if len(data) < 8 {
		return header{}, fmt.Errorf("%w: %d bytes, shorter than the 8 bytes of header length", ErrCorrupt, len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	rest := uint64(len(data) - 8)
	if n > maxHeader {
		return header{}, fmt.Errorf("%w: header of %d bytes, the limit is %d", ErrCorrupt, n, maxHeader)
	}
	if n > rest {
		return header{}, fmt.Errorf("%w: header of %d bytes, but only %d follow: the file is truncated", ErrCorrupt, n, rest)
	}
	h, err := parseJSON(data[8 : 8+n])
	if err != nil {
		return header{}, err
	}
	h.base = int64(8 + n)
	if err := checkLayout(h.tensors, int64(rest-n)); err != nil {
		return header{}, err
	}
	return h, nil
}

// parseJSON reads the entries one by one, because a map would hide duplicates.
func parseJSON(text []byte) (header, error) {
	var h header
	if !utf8.Valid(text) {
		return h, fmt.Errorf("%w: header is not UTF-8", ErrCorrupt)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return h, fmt.Errorf("%w: header is not a JSON object", ErrCorrupt)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return h, fmt.Errorf("%w: header: %v", ErrCorrupt, err)
		}
		if seen[name] {
			return h, fmt.Errorf("%w: tensor %s is named twice", ErrCorrupt, quote(name))
		}
		seen[name] = true
		if err := h.entry(dec, name); err != nil {
			return h, err
		}
	}
	return h, finish(dec)
}

func finish(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("%w: header: %v", ErrCorrupt, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the header's JSON object", ErrCorrupt)
	}
	return nil
}

// entry reads the value of one header key.
func (h *header) entry(dec *json.Decoder, name string) error {
	if name == metadataKey {
		if err := dec.Decode(&h.meta); err != nil {
			return fmt.Errorf("%w: %s: %v", ErrCorrupt, metadataKey, err)
		}
		return nil
	}
	var e struct {
		Dtype   *Dtype   `json:"dtype"`
		Shape   *[]int64 `json:"shape"`
		Offsets *[]int64 `json:"data_offsets"`
	}
	if err := dec.Decode(&e); err != nil {
		return fmt.Errorf("%w: tensor %s: %v", ErrCorrupt, quote(name), err)
	}
	if e.Dtype == nil || e.Shape == nil || e.Offsets == nil || len(*e.Offsets) != 2 {
		return fmt.Errorf("%w: tensor %s: want dtype, shape and two data_offsets", ErrCorrupt, quote(name))
	}
	info, err := newInfo(name, *e.Dtype, *e.Shape, (*e.Offsets)[0], (*e.Offsets)[1])
	if err != nil {
		return err
	}
	h.tensors = append(h.tensors, info)
	return nil
}

// newInfo checks one entry on its own.
func newInfo(name string, d Dtype, shape []int64, begin, end int64) (Info, error) {
	if d.Size() == 0 {
		return Info{}, fmt.Errorf("%w: tensor %s: unknown dtype %s", ErrCorrupt, quote(name), quote(string(d)))
	}
	size, ok := byteSize(d, shape)
	if !ok {
		return Info{}, fmt.Errorf("%w: tensor %s: impossible shape %s", ErrCorrupt, quote(name), shapeText(shape))
	}
	if begin < 0 || end < begin || end-begin != size {
		return Info{}, fmt.Errorf("%w: tensor %s: bytes %d to %d, but %s %s takes %d",
			ErrCorrupt, quote(name), begin, end, d, shapeText(shape), size)
	}
	return Info{Name: name, Dtype: d, Shape: shape, Size: size, begin: begin}, nil
}

// byteSize is dtype × shape; ok is false for a negative dimension or overflow.
func byteSize(d Dtype, shape []int64) (size int64, ok bool) {
	n := uint64(d.Size())
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > 1<<62 {
			return 0, false
		}
		n = lo
	}
	return int64(n), true
}

// checkLayout sorts the tensors by place and demands that they fill the data
// section of size bytes exactly, one after the other.
func checkLayout(tensors []Info, size int64) error {
	slices.SortStableFunc(tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.Size, b.Size))
	})
	var at int64
	for _, t := range tensors {
		if t.begin != at {
			return fmt.Errorf("%w: tensor %s begins at byte %d of the data, want %d: a gap or an overlap",
				ErrCorrupt, quote(t.Name), t.begin, at)
		}
		if t.Size > size-at {
			return fmt.Errorf("%w: tensor %s ends at byte %d of the data, but the file has %d: it is truncated",
				ErrCorrupt, quote(t.Name), at+t.Size, size)
		}
		at += t.Size
	}
	if at != size {
		return fmt.Errorf("%w: %d bytes follow the last tensor", ErrCorrupt, size-at)
	}
	return nil
}

// quote shows a name from a file in an error, never more than a line of it.
func quote(name string) string {
	const most = 120
	if len(name) > most {
		return fmt.Sprintf("%.*q…", most, name)
	}
	return fmt.Sprintf("%q", name)
}

func shapeText(shape []int64) string {
	const most = 8
	if len(shape) > most {
		return fmt.Sprintf("%v… (%d dimensions)", shape[:most], len(shape))
	}
	return fmt.Sprint(shape)
}
