package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"actfleet/internal/safetensors"
	"actfleet/trainer/sae"
)

// array is a named array of float32, int64 or int32, row-major.
type array struct {
	name  string
	shape []int
	data  any // []float32, []int64, []int32
}

// bytes views the values as little-endian bytes, as are the machines this program runs on.
func (a array) bytes() []byte {
	switch v := a.data.(type) {
	case []float32:
		return view(v)
	case []int64:
		return view(v)
	case []int32:
		return view(v)
	}
	return nil
}

func view[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// elements of a shape, or -1 when it is none.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > (1<<40)/d {
			return -1
		}
		n *= d
	}
	return n
}

// arrays are what a file held, by name.
type arrays map[string]array

// matrix is a float32 array of two dimensions.
func (a arrays) matrix(name string) (v []float32, rows, cols int, err error) {
	x, ok := a[name]
	v, is := x.data.([]float32)
	if !ok || !is || len(x.shape) != 2 || x.shape[0] < 1 || x.shape[1] < 1 {
		return nil, 0, 0, fmt.Errorf("%w: no float32 matrix %q", ErrFormat, name)
	}
	return v, x.shape[0], x.shape[1], nil
}

// vector is a float32 array of n values; a scalar counts as one.
func (a arrays) vector(name string, n int) ([]float32, error) {
	v, ok := a[name].data.([]float32)
	if !ok || len(v) != n {
		return nil, fmt.Errorf("%w: no float32 array %q of %d values", ErrFormat, name, n)
	}
	return v, nil
}

// names says under which names a layout keeps the four arrays.
type names struct {
	wEnc, bEnc, wDec, bDec string
	encT, decT             bool // stored [d, M] and [d, M] where the model has [M, d]
}

// weights are the four arrays of a model under the names of a layout.
func (n names) weights(m *sae.Model) []array {
	enc := array{n.wEnc, []int{m.M, m.D}, m.WEnc}
	d := m.Outputs()
	dec := array{n.wDec, []int{m.M, d}, m.WDec}
	if n.encT {
		enc = array{n.wEnc, []int{m.D, m.M}, transpose(m.WEnc, m.M, m.D)}
	}
	if n.decT {
		dec = array{n.wDec, []int{d, m.M}, transpose(m.WDec, m.M, d)}
	}
	return []array{enc, {n.bEnc, []int{m.M}, m.BEnc}, dec, {n.bDec, []int{d}, m.BDec}}
}

// model is an autoencoder of the four arrays.
func (n names) model(a arrays) (*sae.Model, error) {
	m, err := n.transcoder(a)
	if err == nil && m.Out != m.D {
		return nil, fmt.Errorf("%w: it encodes vectors of %d and decodes vectors of %d", ErrFormat, m.D, m.Out)
	}
	if err != nil {
		return nil, err
	}
	return sae.NewModel(sae.Weights{D: m.D, M: m.M, WEnc: m.WEnc, BEnc: m.BEnc, WDec: m.WDec, BDec: m.BDec}), nil
}

// transcoder is a model of the four arrays that predicts another vector.
func (n names) transcoder(a arrays) (m *sae.Model, err error) {
	enc, rows, cols, err := a.matrix(n.wEnc)
	if err != nil {
		return nil, err
	}
	if n.encT {
		enc, rows, cols = transpose(enc, rows, cols), cols, rows
	}
	dec, decRows, decCols, err := a.matrix(n.wDec)
	if err != nil {
		return nil, err
	}
	if n.decT {
		dec, decRows, decCols = transpose(dec, decRows, decCols), decCols, decRows
	}
	if decRows != rows {
		return nil, fmt.Errorf("%w: the encoder is of %d latents, the decoder of %d", ErrFormat, rows, decRows)
	}
	bEnc, err1 := a.vector(n.bEnc, rows)
	bDec, err2 := a.vector(n.bDec, decCols)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return sae.NewModel(sae.Weights{D: cols, M: rows, Out: decCols, WEnc: enc, BEnc: bEnc, WDec: dec, BDec: bDec}), nil
}

// transpose of a [rows, cols] matrix.
func transpose(a []float32, rows, cols int) []float32 {
	out := make([]float32, len(a))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = a[i*cols+j]
		}
	}
	return out
}

// saveTensors writes arrays as safetensors.
func saveTensors(path string, list []array) error {
	var out []safetensors.Tensor
	for _, a := range list {
		t := safetensors.Tensor{Name: a.name, Dtype: safetensors.F32, Data: a.bytes()}
		for _, d := range a.shape {
			t.Shape = append(t.Shape, int64(d))
		}
		out = append(out, t)
	}
	return safetensors.Write(path, out, map[string]string{"format": "pt"})
}

// loadTensors reads safetensors of any float type as float32.
func loadTensors(path string) (out arrays, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out = arrays{}
	for _, t := range f.Tensors() {
		v, err := f.Float32s(t.Name)
		if err != nil {
			return nil, err
		}
		a := array{name: t.Name, data: append([]float32(nil), v...)}
		for _, d := range t.Shape {
			a.shape = append(a.shape, int(d))
		}
		out[t.Name] = a
	}
	return out, nil
}

// saveJSON writes a configuration.
func saveJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// maxJSON bounds a configuration.
const maxJSON = 1 << 20

func loadJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if err := json.NewDecoder(io.LimitReader(f, maxJSON)).Decode(v); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrFormat, path, err)
	}
	return nil
}

// threshold is a model's thresholds as an array.
func threshold(m *sae.Model) array { return array{"threshold", []int{m.M}, m.Theta} }

// jumping gives a model the thresholds that the arrays hold.
func jumping(m *sae.Model, a arrays) (_ *sae.Model, err error) {
	m.Arch = sae.JumpReLU
	m.Theta, err = a.vector("threshold", m.M)
	return m, err
}

// skip is a model's W_skip as an array.
func skip(m *sae.Model) array { return array{"W_skip", []int{m.Out, m.D}, m.WSkip} }

// skipping gives a transcoder the W_skip that the arrays hold.
func skipping(m *sae.Model, a arrays) (_ *sae.Model, err error) {
	m.Skip = true
	m.WSkip, err = a.vector("W_skip", m.Out*m.D)
	return m, err
}

// gated gives a model what the arrays hold of its magnitudes.
func gated(m *sae.Model, a arrays, rMag, bMag string) (_ *sae.Model, err error) {
	var err1, err2 error
	m.Arch = sae.Gated
	m.RMag, err1 = a.vector(rMag, m.M)
	m.BMag, err2 = a.vector(bMag, m.M)
	return m, errors.Join(err1, err2)
}

// relu makes a model one without thresholds.
func relu(m *sae.Model) *sae.Model {
	m.Arch = sae.ReLU
	return m
}

// withK gives a model its k and architecture when they fit.
func withK(m *sae.Model, k int) (*sae.Model, error) {
	if k < 1 || k > m.M {
		return nil, fmt.Errorf("%w: k is %d of %d latents", ErrFormat, k, m.M)
	}
	m.Arch, m.K = sae.TopK, k
	return m, nil
}
