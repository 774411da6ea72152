package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"actfleet/internal/mapped"
)

// ErrNoTensor marks a question about a tensor the checkpoint does not have.
var ErrNoTensor = errors.New("no such tensor")

// File is one open safetensors file, mapped into memory. It is safe for
// concurrent use, except Close.
type File struct {
	path  string
	data  []byte // the whole file; nil after Close
	owned bool   // data is a map to be freed
	head  header
	index map[string]int
}

// Open maps and checks a file. A file that breaks the format gives an error that
// is ErrCorrupt and names the file and, where there is one, the tensor.
func Open(path string) (*File, error) {
	data, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	head, err := guarded(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), mapped.Close(data))
	}
	f := newFile(path, data, head)
	f.owned = true
	return f, nil
}

func guarded(data []byte) (h header, err error) {
	defer mapped.Guard(&err)()
	return parse(data)
}

func newFile(path string, data []byte, head header) *File {
	f := &File{path: path, data: data, head: head, index: make(map[string]int, len(head.tensors))}
	for i, t := range head.tensors {
		f.index[t.Name] = i
	}
	return f
}

// Tensors lists the tensors in the order of their data. The caller must not
// change what it gets.
func (f *File) Tensors() []Info { return f.head.tensors }

// Metadata is the file's own key/value strings, nil when it has none.
func (f *File) Metadata() map[string]string { return f.head.meta }

// Info describes a tensor; ok is false when the file has none of that name.
func (f *File) Info(name string) (info Info, ok bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.head.tensors[i], true
}

// Bytes is the data of a tensor, little-endian, row-major: a read-only view of
// the file, valid until Close and read under a mapped.Guard, or a copy where the data begin at an address that is
// no multiple of an element's size. ErrNoTensor when the file does not have it,
// os.ErrClosed after Close.
func (f *File) Bytes(name string) (data []byte, err error) {
	defer mapped.Guard(&err)()
	i, ok := f.index[name]
	if !ok {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, quote(name), ErrNoTensor)
	}
	if f.data == nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, quote(name), os.ErrClosed)
	}
	t := f.head.tensors[i]
	lo := f.head.base + t.begin
	raw := f.data[lo : lo+t.Size : lo+t.Size]
	if !aligned(raw, t.Dtype.Size()) {
		return bytes.Clone(raw), nil
	}
	return raw, nil
}

// aligned says whether elements of so many bytes may be read where b begins.
func aligned(b []byte, size int) bool {
	return len(b) == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%uintptr(size) == 0
}

// Float32s is a tensor of F16, BF16, F32 or F64 as a new float32 slice.
func (f *File) Float32s(name string) (values []float32, err error) {
	defer mapped.Guard(&err)()
	raw, err := f.Bytes(name)
	if err != nil {
		return nil, err
	}
	info, _ := f.Info(name)
	out, err := ToFloat32(info.Dtype, raw)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, quote(name), err)
	}
	return out, nil
}

// Close unmaps the file; every view of it is invalid from here on. Closing again
// does nothing.
func (f *File) Close() error {
	if f.data == nil {
		return nil
	}
	data := f.data
	f.data = nil
	if !f.owned {
		return nil
	}
	if err := mapped.Close(data); err != nil {
		return fmt.Errorf("unmap %s: %w", f.path, err)
	}
	return nil
}

// digest hashes tensors in name order, each as a line of name, dtype and shape
// followed by its bytes, so that it does not depend on shards or metadata.
func digest(tensors []Info, read func(name string) ([]byte, error)) (sum string, err error) {
	defer mapped.Guard(&err)()
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, t := range sorted {
		raw, err := read(t.Name)
		if err != nil {
			return "", err
		}
		hashTensor(h, t, raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashTensor(h hash.Hash, t Info, raw []byte) {
	line := strconv.Quote(t.Name) + " " + string(t.Dtype)
	for _, d := range t.Shape {
		line += " " + strconv.FormatInt(d, 10)
	}
	h.Write([]byte(line + "\n")) // a hash never fails
	h.Write(raw)
}

// Digest is the hex SHA-256 of the content: names, dtypes, shapes and bytes of
// all tensors, independent of their order in the file and of the metadata. It
// reads the whole file each time.
func (f *File) Digest() (string, error) { return digest(f.head.tensors, f.Bytes) }

// Path is where the file was opened, cleaned.
func (f *File) Path() string { return filepath.Clean(f.path) }
