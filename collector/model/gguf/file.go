package gguf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	"actfleet/internal/mapped"
)

// ErrNoTensor marks a question about a tensor the file does not have.
var ErrNoTensor = errors.New("no such tensor")

// File is one open GGUF file, mapped into memory.
type File struct {
	path string
	data []byte // the whole map; nil after Close
	head header
}

// Open maps and checks a file. Errors name the path and are ErrCorrupt,
// ErrUnsupported, or what the file system says.
func Open(path string) (*File, error) {
	data, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	head, err := guarded(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), mapped.Close(data))
	}
	return &File{path: path, data: data, head: head}, nil
}

func guarded(data []byte) (h header, err error) {
	defer mapped.Guard(&err)()
	return parse(data)
}

// Keys lists the metadata keys in the file's order. The caller must not change it.
func (f *File) Keys() []string { return f.head.keys }

// Tensors lists the tensors in the order of their data. The caller must not change
// what it gets.
func (f *File) Tensors() []Info { return f.head.tensors }

// Info describes a tensor; ok is false when the file has none of that name.
func (f *File) Info(name string) (info Info, ok bool) {
	i := slices.IndexFunc(f.head.tensors, func(t Info) bool { return t.Name == name })
	if i < 0 {
		return Info{}, false
	}
	return f.head.tensors[i], true
}

// Bytes is the data of a tensor as the file has it: a read-only view, valid until
// Close. ErrNoTensor when the file does not have it, os.ErrClosed after Close.
func (f *File) Bytes(name string) ([]byte, error) {
	t, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, ErrNoTensor)
	}
	if f.data == nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, os.ErrClosed)
	}
	lo := f.head.base + t.begin
	return f.data[lo : lo+t.Size : lo+t.Size], nil
}

// Float32s is a tensor dequantised into a new slice, row-major by Info.Shape.
func (f *File) Float32s(name string) (values []float32, err error) { return f.Part(name, 0, 1) }

// Part is Float32s of one of several equal parts of a tensor, cut across its first dimension, which their number divides.
func (f *File) Part(name string, part, of int) (values []float32, err error) {
	defer mapped.Guard(&err)()
	raw, err := f.Bytes(name)
	if err != nil {
		return nil, err
	}
	t, _ := f.Info(name) // Bytes found it
	if part < 0 || of < 1 || part >= of || t.Shape[0]%int64(of) != 0 {
		return nil, fmt.Errorf("%s: tensor %q %v has no part %d of %d", f.path, name, t.Shape, part, of)
	}
	size := len(raw) / of
	out := make([]float32, t.Values()/of)
	if err := Dequantize(out, raw[part*size:(part+1)*size], t.Dtype); err != nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return out, nil
}

// Digest is the hex SHA-256 of the whole file. os.ErrClosed after Close.
func (f *File) Digest() (digest string, err error) {
	defer mapped.Guard(&err)()
	if f.data == nil {
		return "", fmt.Errorf("%s: %w", f.path, os.ErrClosed)
	}
	sum := sha256.Sum256(f.data)
	return hex.EncodeToString(sum[:]), nil
}

// Close unmaps the file. Closing again does nothing.
func (f *File) Close() error {
	data := f.data
	if f.data = nil; data == nil {
		return nil
	}
	return mapped.Close(data)
}
