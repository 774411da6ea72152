package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"actfleet/internal/outfile"
)

// Tensor is one tensor to write. Data is little-endian, row-major, and exactly as
// long as dtype × shape.
type Tensor struct {
	Name  string
	Dtype Dtype
	Shape []int64
	Data  []byte
}

// Write writes tensors and metadata (nil for none) to path. The file appears
// under its name complete or not at all, replaces an older one, and is durable
// when Write returns.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	return outfile.Write(path, func(f *os.File) error { return Encode(f, tensors, metadata) })
}

// Encode writes a whole file to w. Tensors are laid out by falling element size,
// then by name, whatever the order given, so that every one is aligned and equal
// input gives equal bytes.
func Encode(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.Dtype.Size(), a.Dtype.Size()), cmp.Compare(a.Name, b.Name))
	})
	head, err := encodeHeader(sorted, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range sorted {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader gives the length and the JSON, padded with spaces so that the data
// begins at a multiple of eight.
func encodeHeader(sorted []Tensor, metadata map[string]string) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 8))
	out.WriteByte('{')
	sep := ""
	if len(metadata) > 0 {
		if err := entry(out, &sep, metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	var at int64
	seen := map[string]bool{}
	for _, t := range sorted {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %s is given twice", quote(t.Name))
		}
		seen[t.Name] = true
		if err := checkTensor(t); err != nil {
			return nil, err
		}
		end := at + int64(len(t.Data))
		if err := entry(out, &sep, t.Name, layout{t.Dtype, append([]int64{}, t.Shape...), [2]int64{at, end}}); err != nil {
			return nil, err
		}
		at = end
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 {
		out.WriteByte(' ')
	}
	if out.Len()-8 > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the limit is %d", out.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(out.Bytes(), uint64(out.Len()-8))
	return out.Bytes(), nil
}

// layout is a tensor's header entry in the order it is written.
type layout struct {
	Dtype   Dtype    `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

func entry(out *bytes.Buffer, sep *string, name string, value any) error {
	key, err := json.Marshal(name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s%s:%s", *sep, key, text)
	*sep = ","
	return nil
}

func checkTensor(t Tensor) error {
	if t.Name == metadataKey || t.Name == "" || !utf8.ValidString(t.Name) {
		return fmt.Errorf("tensor %s: not a name for a tensor", quote(t.Name))
	}
	if t.Dtype.Size() == 0 {
		return fmt.Errorf("tensor %s: unknown dtype %s", quote(t.Name), quote(string(t.Dtype)))
	}
	size, ok := byteSize(t.Dtype, t.Shape)
	if !ok || size != int64(len(t.Data)) {
		return fmt.Errorf("tensor %s: %d bytes, but %s %s takes %d", quote(t.Name), len(t.Data), t.Dtype, shapeText(t.Shape), size)
	}
	return nil
}
