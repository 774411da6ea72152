// Package npy reads and writes numpy's arrays: .npy files, and .npz, which are archives of them.
//
// Guaranteed: what is written numpy loads without allow_pickle; arrays of objects are refused, so that nothing is
// executed; a header's shape allocates nothing before the bytes for it are seen. It needs neither libtorch nor cgo.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"actfleet/internal/archive"
	"actfleet/internal/array"
	"actfleet/internal/safetensors"
)

// ErrFormat says that bytes are no array file.
var ErrFormat = errors.New("no .npy file that can be read")

const magic = "\x93NUMPY"

// types are numpy's names of little-endian types.
var types = map[string]safetensors.Dtype{
	"<f2": safetensors.F16, "<f4": safetensors.F32, "<f8": safetensors.F64,
	"<i2": safetensors.I16, "<i4": safetensors.I32, "<i8": safetensors.I64,
}

// Save writes arrays as an archive of .npy files, format 1.0.
func Save(path string, list []array.Array) error {
	var parts []archive.Part
	for _, a := range list {
		data, err := Format(a)
		if err != nil {
			return err
		}
		parts = append(parts, archive.Part{Name: a.Name + ".npy", Data: data})
	}
	return archive.Save(path, parts)
}

// Format is an array as a .npy file.
func Format(a array.Array) ([]byte, error) {
	descr := ""
	for name, d := range types {
		if d == a.Dtype {
			descr = name
		}
	}
	if descr == "" {
		return nil, fmt.Errorf("%q is of %s, which is not written", a.Name, a.Dtype)
	}
	var dims strings.Builder
	for _, d := range a.Shape {
		fmt.Fprintf(&dims, "%d,", d)
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	pad := 63 - (len(magic)+4+len(text))%64
	text += strings.Repeat(" ", pad) + "\n"
	head := append([]byte(magic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(text)))
	return append(append(head, text...), a.Bytes()...), nil
}

// Load reads the arrays of a .npz file, by name.
func Load(path string) (map[string]array.Array, error) {
	parts, err := archive.Load(path)
	if err != nil {
		return nil, err
	}
	out := map[string]array.Array{}
	for file, data := range parts {
		name := strings.TrimSuffix(file, ".npy")
		a, err := Parse(name, data)
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", file, err)
		}
		out[name] = a
	}
	return out, nil
}

var (
	descrKey = regexp.MustCompile(`'descr': '([^']*)'`)
	orderKey = regexp.MustCompile(`'fortran_order': (False|True)`)
	shapeKey = regexp.MustCompile(`'shape': \(([0-9, ]*)\)`)
)

// Parse reads a .npy file of format 1, 2 or 3. The array shares its bytes.
func Parse(name string, data []byte) (array.Array, error) {
	var a array.Array
	text, values, err := header(data)
	if err != nil {
		return a, err
	}
	descr, order, dims := descrKey.FindStringSubmatch(text), orderKey.FindStringSubmatch(text), shapeKey.FindStringSubmatch(text)
	if descr == nil || order == nil || dims == nil {
		return a, fmt.Errorf("%w: its header is %.100q", ErrFormat, text)
	}
	d, ok := types[descr[1]]
	if !ok {
		return a, fmt.Errorf("%w: its type is %.20q; save it as float32", ErrFormat, descr[1])
	}
	var shape []int
	for _, t := range strings.FieldsFunc(dims[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(t)
		if err != nil {
			return a, fmt.Errorf("%w: a dimension of %.40s", ErrFormat, t)
		}
		shape = append(shape, n)
	}
	if n := array.Elements(shape); n < 0 || len(values)%d.Size() != 0 || n != len(values)/d.Size() {
		return a, fmt.Errorf("%w: %d bytes for the shape %v of %s", ErrFormat, len(values), shape, d)
	}
	return array.View(name, d, shape, steps(shape, order[1] == "True"), values)
}

// steps are those of a shape in Fortran's order, nil in C's.
func steps(shape []int, fortran bool) []int {
	if !fortran {
		return nil
	}
	turned := slices.Clone(shape)
	slices.Reverse(turned)
	out := array.RowMajor(turned)
	slices.Reverse(out)
	return out
}

// header splits a file into the text of its header and the values.
func header(data []byte) (text string, values []byte, err error) {
	if len(data) < 12 || string(data[:6]) != magic || data[6] < 1 || data[6] > 3 {
		return "", nil, fmt.Errorf("%w: it begins with %.8q", ErrFormat, data[:min(8, len(data))])
	}
	at, n := 10, uint32(binary.LittleEndian.Uint16(data[8:]))
	if data[6] > 1 {
		at, n = 12, binary.LittleEndian.Uint32(data[8:])
	}
	if uint64(n) > uint64(len(data)-at) {
		return "", nil, fmt.Errorf("%w: its header is cut off", ErrFormat)
	}
	return string(data[at : at+int(n)]), data[at+int(n):], nil
}
