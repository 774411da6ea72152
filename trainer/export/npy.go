package export

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// saveNPZ writes arrays as an archive of .npy files, format 1.0.
func saveNPZ(path string, list []array) error {
	var parts []part
	for _, a := range list {
		parts = append(parts, part{a.name + ".npy", append(npyHeader(a), a.bytes()...)})
	}
	return saveZip(path, parts)
}

const npyMagic = "\x93NUMPY"

func npyHeader(a array) []byte {
	var dims strings.Builder
	for _, d := range a.shape {
		fmt.Fprintf(&dims, "%d,", d)
	}
	descr := map[bool]string{true: "<f4", false: "<i8"}[isFloat(a.data)]
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	pad := 63 - (len(npyMagic)+4+len(text))%64
	text += strings.Repeat(" ", pad) + "\n"
	head := append([]byte(npyMagic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(text)))
	return append(head, text...)
}

func isFloat(data any) bool { _, ok := data.([]float32); return ok }

// loadNPZ reads float32 and int64 arrays.
func loadNPZ(path string) (arrays, error) {
	parts, err := loadZip(path)
	if err != nil {
		return nil, err
	}
	out := arrays{}
	for name, data := range parts {
		a, err := parseNPY(data)
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", name, err)
		}
		a.name = strings.TrimSuffix(name, ".npy")
		out[a.name] = a
	}
	return out, nil
}

var (
	npyDescr = regexp.MustCompile(`'descr': '(<f4|<i8)'`)
	npyOrder = regexp.MustCompile(`'fortran_order': False`)
	npyShape = regexp.MustCompile(`'shape': \(([0-9, ]*)\)`)
)

func parseNPY(data []byte) (a array, err error) {
	if len(data) < 10 || string(data[:8]) != npyMagic+"\x01\x00" {
		return a, fmt.Errorf("%w: no array file of version 1.0", ErrFormat)
	}
	end := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if end > len(data) {
		return a, fmt.Errorf("%w: the header is cut off", ErrFormat)
	}
	text := string(data[10:end])
	descr, shape := npyDescr.FindStringSubmatch(text), npyShape.FindStringSubmatch(text)
	if descr == nil || shape == nil || !npyOrder.MatchString(text) {
		return a, fmt.Errorf("%w: want a row-major array of float32 or int64, the header is %.100q", ErrFormat, text)
	}
	for _, d := range strings.FieldsFunc(shape[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(d)
		if err != nil {
			return a, fmt.Errorf("%w: a dimension of %.40s", ErrFormat, d)
		}
		a.shape = append(a.shape, n)
	}
	if descr[1] == "<f4" {
		a.data, err = decode[float32](data[end:], elements(a.shape), 4)
	} else {
		a.data, err = decode[int64](data[end:], elements(a.shape), 8)
	}
	return a, err
}

// decode copies n little-endian values that must be all there is.
func decode[T any](raw []byte, n, size int) ([]T, error) {
	if n < 0 || len(raw) != n*size {
		return nil, fmt.Errorf("%w: %d bytes for %d values of %d", ErrFormat, len(raw), n, size)
	}
	out := make([]T, n)
	copy(view(out), raw)
	return out, nil
}
