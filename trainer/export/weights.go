package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"actfleet/internal/array"
	"actfleet/internal/safetensors"
	"actfleet/trainer/sae"
)

// arrays are what a file held, by name. Whoever uses one takes it, so that in the end those are left that nothing
// understood.
type arrays map[string]array.Array

func (a arrays) has(name string) bool { _, ok := a[name]; return ok }

// take is an array of floats, which is there no longer.
func (a arrays) take(name string) (v []float32, shape []int, err error) {
	x, ok := a[name]
	if !ok {
		return nil, nil, fmt.Errorf("%w: no array %q beside %s", ErrFormat, name, strings.Join(a.names(), ", "))
	}
	delete(a, name)
	v, err = x.Float32s()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return v, x.Shape, nil
}

// matrix takes an array of two dimensions.
func (a arrays) matrix(name string) (v []float32, rows, cols int, err error) {
	v, shape, err := a.take(name)
	if err == nil && (len(shape) != 2 || len(v) == 0) {
		err = fmt.Errorf("%w: %q has the shape %v, not that of a matrix", ErrFormat, name, shape)
	}
	if err != nil {
		return nil, 0, 0, err
	}
	return v, shape[0], shape[1], nil
}

// vector takes an array of n values, whatever its shape.
func (a arrays) vector(name string, n int) ([]float32, error) {
	v, shape, err := a.take(name)
	if err == nil && len(v) != n {
		err = fmt.Errorf("%w: %q has the shape %v, not %d values", ErrFormat, name, shape, n)
	}
	return v, err
}

// whole takes an array that is one whole number.
func (a arrays) whole(name string) (int, error) {
	x, ok := a[name]
	if !ok {
		return 0, fmt.Errorf("%w: no array %q", ErrFormat, name)
	}
	delete(a, name)
	n, err := x.Int()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return n, err
}

// skip drops arrays that are known to be no part of the function.
func (a arrays) skip(names ...string) {
	for _, n := range names {
		delete(a, n)
	}
}

func (a arrays) names() []string { return slices.Sorted(maps.Keys(a)) }

// rest refuses arrays that nobody took.
func (a arrays) rest() error {
	if len(a) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it is not known what the arrays %.400s mean here, and they may change the function",
		ErrFormat, strings.Join(a.names(), ", "))
}

// names says under which names a layout keeps the four arrays.
type names struct {
	wEnc, bEnc, wDec, bDec string
	encT, decT             bool // stored [d, M] and [d, M] where the model has [M, d]
}

// weights are the four arrays of a model under the names of a layout.
func (n names) weights(m *sae.Model) []array.Array {
	enc := array.Of(n.wEnc, []int{m.M, m.D}, m.WEnc)
	d := m.Outputs()
	dec := array.Of(n.wDec, []int{m.M, d}, m.WDec)
	if n.encT {
		enc = array.Of(n.wEnc, []int{m.D, m.M}, transpose(m.WEnc, m.M, m.D))
	}
	if n.decT {
		dec = array.Of(n.wDec, []int{d, m.M}, transpose(m.WDec, m.M, d))
	}
	return []array.Array{enc, array.Of(n.bEnc, []int{m.M}, m.BEnc), dec, array.Of(n.bDec, []int{d}, m.BDec)}
}

// model takes the four arrays of an autoencoder, whose bias counts for x − b_dec.
func (n names) model(a arrays) (*sae.Model, error) {
	m, err := n.transcoder(a)
	if err == nil && m.Out != m.D {
		err = fmt.Errorf("%w: it encodes vectors of %d and decodes vectors of %d", ErrFormat, m.D, m.Out)
	}
	if err != nil {
		return nil, err
	}
	return sae.NewModel(sae.Weights{D: m.D, M: m.M, WEnc: m.WEnc, BEnc: m.BEnc, WDec: m.WDec, BDec: m.BDec}), nil
}

// plain takes the four arrays of a model whose bias counts for x itself: of a transcoder where it is to be one.
func (n names) plain(a arrays, transcoder bool) (*sae.Model, error) {
	if transcoder {
		return n.transcoder(a)
	}
	m, err := n.model(a)
	if err == nil {
		m.Centre()
	}
	return m, err
}

// transcoder takes the four arrays of a model that predicts another vector.
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
	bEnc, err := a.vector(n.bEnc, rows)
	if err != nil {
		return nil, err
	}
	bDec, err := a.vector(n.bDec, decCols)
	if err != nil {
		return nil, err
	}
	m = sae.NewModel(sae.Weights{D: cols, M: rows, Out: decCols, WEnc: enc, BEnc: bEnc, WDec: dec, BDec: bDec})
	return relu(m), nil
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
func saveTensors(path string, list []array.Array) error {
	var out []safetensors.Tensor
	for _, a := range list {
		t := safetensors.Tensor{Name: a.Name, Dtype: a.Dtype, Data: a.Bytes(), Shape: []int64{}}
		for _, d := range a.Shape {
			t.Shape = append(t.Shape, int64(d))
		}
		out = append(out, t)
	}
	return safetensors.Write(path, out, map[string]string{"format": "pt"})
}

// maxWeights bounds a file of weights, which is read whole.
const maxWeights = 1 << 40

// loadTensors reads safetensors.
func loadTensors(path string) (arrays, error) {
	raw, err := readSmall(path, maxWeights)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Parse(path, raw)
	if err != nil {
		return nil, err
	}
	out := arrays{}
	for _, t := range f.Tensors() {
		raw, err := f.Bytes(t.Name)
		if err != nil {
			return nil, err
		}
		var shape []int
		for _, d := range t.Shape {
			shape = append(shape, int(d))
		}
		if out[t.Name], err = array.View(t.Name, t.Dtype, shape, nil, raw); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// threshold is a model's thresholds as an array.
func threshold(m *sae.Model) array.Array { return array.Of("threshold", []int{m.M}, m.Theta) }

// jumping gives a model the thresholds that the arrays hold, one for each latent.
func jumping(m *sae.Model, a arrays, name string) (err error) {
	m.Arch = sae.JumpReLU
	m.Theta, err = a.vector(name, m.M)
	return err
}

// skip is a model's W_skip as an array.
func skip(m *sae.Model) array.Array { return array.Of("W_skip", []int{m.Out, m.D}, m.WSkip) }

// skipping gives a transcoder the W_skip [out, d] that the arrays hold.
func skipping(m *sae.Model, a arrays) error {
	v, rows, cols, err := a.matrix("W_skip")
	if err == nil && (rows != m.Out || cols != m.D) {
		err = fmt.Errorf("%w: W_skip is of %d×%d, not %d×%d", ErrFormat, rows, cols, m.Out, m.D)
	}
	m.Skip, m.WSkip = true, v
	return err
}

// gated gives a model what the arrays hold of its magnitudes.
func gated(m *sae.Model, a arrays, rMag, bMag string) (err error) {
	m.Arch = sae.Gated
	if m.RMag, err = a.vector(rMag, m.M); err == nil {
		m.BMag, err = a.vector(bMag, m.M)
	}
	return err
}

// relu makes a model one without thresholds.
func relu(m *sae.Model) *sae.Model {
	m.Arch = sae.ReLU
	return m
}

// withK gives a model its k and architecture when they fit.
func withK(m *sae.Model, k int) error {
	if k < 1 || k > m.M {
		return fmt.Errorf("%w: k is %d of %d latents", ErrFormat, k, m.M)
	}
	m.Arch, m.K = sae.TopK, k
	return nil
}

// overBatch makes a model one of BatchTopK, with one threshold for all latents and k of them on average.
func overBatch(m *sae.Model, theta float32, k int) error {
	if err := withK(m, k); err != nil {
		return err
	}
	m.Arch, m.Theta = sae.BatchTopK, slices.Repeat([]float32{theta}, m.M)
	return nil
}
