package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unsafe"

	"actfleet/internal/mapped"
	"actfleet/internal/safetensors"
)

// ErrMismatch says that a file holds other arrays than the Set.
var ErrMismatch = errors.New("other arrays than expected")

// Set is a list of named arrays. The zero Set is empty.
type Set struct{ tensors []safetensors.Tensor }

// Number is an element type a Set can hold.
type Number interface{ float32 | float64 | int64 }

// Add declares an array under a name. Its memory is used until the Set is gone.
// The shape is that of data when none is given.
func Add[T Number](s *Set, name string, data []T, shape ...int) {
	if len(shape) == 0 {
		shape = []int{len(data)}
	}
	t := safetensors.Tensor{Name: name, Dtype: dtype(data), Data: bytesOf(data)}
	for _, n := range shape {
		t.Shape = append(t.Shape, int64(n))
	}
	s.tensors = append(s.tensors, t)
}

func dtype[T Number](data []T) safetensors.Dtype {
	switch any(data).(type) {
	case []float32:
		return safetensors.F32
	case []float64:
		return safetensors.F64
	}
	return safetensors.I64
}

// bytesOf views an array as bytes. Files are little-endian, as are the machines
// this program runs on.
func bytesOf[T Number](data []T) []byte {
	if len(data) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(data[0])))
}

// Bytes is the memory of every array, in their order.
func (s *Set) Bytes() (out [][]byte) {
	for _, t := range s.tensors {
		out = append(out, t.Data)
	}
	return out
}

// EachFloat32 hands over the arrays of 32-bit floats.
func (s *Set) EachFloat32(f func(name string, shape []int64, data []float32)) {
	for _, t := range s.tensors {
		if t.Dtype == safetensors.F32 {
			f(t.Name, t.Shape, valuesOf[float32](t.Data))
		}
	}
}

// Join appends the arrays of other, with a prefix to their names.
func (s *Set) Join(prefix string, other *Set) {
	for _, t := range other.tensors {
		t.Name = prefix + t.Name
		s.tensors = append(s.tensors, t)
	}
}

// Save writes a file; it appears complete or not at all.
func (s *Set) Save(path string, metadata map[string]string) error {
	return safetensors.Write(path, s.tensors, metadata)
}

// Encode writes what Save would.
func (s *Set) Encode(w io.Writer) error { return safetensors.Encode(w, s.tensors, nil) }

// ErrNonFinite says that an array holds a value that is infinite or no number.
var ErrNonFinite = errors.New("a value is not finite")

// Load fills the arrays from a file.
func (s *Set) Load(path string) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.fill(f)
}

// LoadFinite is Load of arrays that something is computed with: a value that is not finite is ErrNonFinite, and named.
func (s *Set) LoadFinite(path string) error {
	if err := s.Load(path); err != nil {
		return err
	}
	if err := s.finite(); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// finite names the first value that is infinite or no number.
func (s *Set) finite() error {
	for _, t := range s.tensors {
		i := -1
		switch t.Dtype {
		case safetensors.F32:
			i = nonFinite(valuesOf[float32](t.Data))
		case safetensors.F64:
			i = nonFinite(valuesOf[float64](t.Data))
		}
		if i >= 0 {
			return fmt.Errorf("%w: value %d of array %q", ErrNonFinite, i, t.Name)
		}
	}
	return nil
}

func nonFinite[T float32 | float64](values []T) int {
	return slices.IndexFunc(values, func(v T) bool { return v-v != 0 })
}

// valuesOf is the inverse of bytesOf.
func valuesOf[T Number](data []byte) []T {
	if len(data) == 0 {
		return nil
	}
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(&data[0])), len(data)/int(unsafe.Sizeof(one)))
}

// Decode fills the arrays from a file that lies in memory; the name is for errors.
func (s *Set) Decode(name string, data []byte) error {
	f, err := safetensors.Parse(name, data)
	if err != nil {
		return err
	}
	return s.fill(f)
}

func (s *Set) fill(f *safetensors.File) (err error) {
	defer mapped.Guard(&err)()
	if err := s.check(f); err != nil {
		return fmt.Errorf("load %s: %w", f.Path(), err)
	}
	for _, t := range s.tensors {
		data, err := f.Bytes(t.Name)
		if err != nil {
			return err
		}
		copy(t.Data, data)
	}
	return nil
}

// Holds returns ErrMismatch when a file is too short for so many bytes of arrays: to be
// asked before memory is made for sizes that another file claims.
func Holds(path string, bytes float64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if float64(info.Size()) < bytes {
		return fmt.Errorf("load %s: %w: its %d bytes cannot hold arrays of %.0f", path, ErrMismatch, info.Size(), bytes)
	}
	return nil
}

func (s *Set) check(f *safetensors.File) error {
	for _, t := range s.tensors {
		info, ok := f.Info(t.Name)
		if !ok {
			return fmt.Errorf("%w: no array %q", ErrMismatch, t.Name)
		}
		if info.Dtype != t.Dtype || !slices.Equal(info.Shape, t.Shape) {
			return fmt.Errorf("%w: array %q is %s %v, want %s %v", ErrMismatch, t.Name, info.Dtype, info.Shape, t.Dtype, t.Shape)
		}
	}
	if n := len(f.Tensors()); n != len(s.tensors) {
		return fmt.Errorf("%w: the file holds %d arrays, want %d", ErrMismatch, n, len(s.tensors))
	}
	return nil
}
