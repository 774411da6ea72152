package vq

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/trainer/state"
)

// VQVAE is a tokenizer with a learned encoder and decoder: the encoder makes T pieces of w
// values of a row, a quantiser makes an id of each, and the decoder a row of the pieces that
// the ids stand for.
type VQVAE struct {
	standardizer
	arch     Arch
	dims     Dims
	width    int // w, values of a piece
	enc, dec net
	quant    quantiser
	target   target

	ids []int32   // work, [n, T]
	q   []float32 // work, [n, T·w]
}

// quantiser turns what an encoder gives, u [m, w], into ids [m] and back.
type quantiser interface {
	// ids writes the id of every row of u.
	ids(u []float32, m int, ids []int32) error
	// vectors writes the rows q [m, w] that ids stand for.
	vectors(ids []int32, m int, q []float32)
	// smooth is the function of u [m, w] whose gradient stands for that of q.
	smooth(s *torch.Scope, u *torch.Tensor) *torch.Tensor
	// files adds its arrays to a coder's.
	files(s *state.Set)
}

func newVQVAE(a vqvaeArch, c Config, d Dims) (*VQVAE, error) {
	if c.Hidden < 0 || c.Hidden > maxUnits {
		return nil, fmt.Errorf("hidden is %d, must be between 0 and %d", c.Hidden, maxUnits)
	}
	w := a.width(c)
	if w < 1 || w > maxUnits {
		return nil, fmt.Errorf("code_width is %d, must be between 1 and %d", w, maxUnits)
	}
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	v := &VQVAE{standardizer: newStandardizer(d.Row), arch: c.Arch, dims: d, width: w, quant: a.quantiser(c), target: t}
	v.enc, v.dec = newNet(d.Row, c.Hidden, v.latent()), newNet(v.latent(), c.Hidden, d.Row*t.outputs())
	return v, nil
}

// maxUnits bounds the sizes of networks.
const maxUnits = 1 << 16

// latent is the number of values between encoder and decoder, T·w.
func (v *VQVAE) latent() int { return v.dims.Ids * v.width }

// Dims are the sizes.
func (v *VQVAE) Dims() Dims { return v.dims }

// Encode writes the ids [n, T] of n rows x [n, D].
func (v *VQVAE) Encode(x []float32, n int, ids []int32) error {
	if err := v.dims.check(x, n, ids); err != nil {
		return err
	}
	z := v.apply(x, n)
	return torch.Do(func(s *torch.Scope) error {
		u := v.enc.apply(s, torch.WrapFloat32(s, z, int64(n), int64(v.dims.Row)), plain(s))
		return v.quant.ids(u.Float32s(), n*v.dims.Ids, ids)
	})
}

// Decode writes the rows xhat [n, D] that ids [n, T] stand for.
func (v *VQVAE) Decode(ids []int32, n int, xhat []float32) error {
	if err := v.dims.checkIds(xhat, n, ids); err != nil {
		return err
	}
	v.q = grow(v.q, n*v.latent())
	v.quant.vectors(ids, n*v.dims.Ids, v.q)
	return torch.Do(func(s *torch.Scope) error {
		out := v.dec.apply(s, torch.WrapFloat32(s, v.q, int64(n), int64(v.latent())), plain(s))
		copy(xhat, v.target.value(s, out).Float32s())
		v.invert(xhat[:n*v.dims.Row])
		return nil
	})
}

// Save writes centre [D], scale, encoder.* and decoder.* weights and biases, and the
// codebook [K, w] of IRIS.
func (v *VQVAE) Save(path string) error { return save(v, v.arch, path) }

func (v *VQVAE) files() *state.Set {
	s := &state.Set{}
	v.standardizer.state(s)
	for _, p := range append(v.enc.params("encoder"), v.dec.params("decoder")...) {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	v.quant.files(s)
	return s
}

// vqvaeArch is what one architecture of a VQVAE has that others have not.
type vqvaeArch interface {
	defaults() Defaults
	codes(c Config) (int, error)
	// width is w.
	width(c Config) int
	// entries is the number of vectors in a codebook; 0 when there is none.
	entries(codes int) int
	quantiser(c Config) quantiser
	// training is what trains the quantiser of a VQVAE.
	training(c Config, v *VQVAE) (quantiserTraining, error)
}

// vqvaeVariant makes a variant of a vqvaeArch.
type vqvaeVariant struct{ vqvaeArch }

func (vqvaeVariant) check(Config, Dims) error { return nil }

// minSample counts that all pieces of a row are rows to the codebook.
func (v vqvaeVariant) minSample(d Dims) int { return (v.entries(d.Codes) + d.Ids - 1) / d.Ids }

func (v vqvaeVariant) weights(c Config, d Dims) float64 {
	w, in, out, h := float64(v.width(c)), float64(d.Row), float64(d.Row*c.Loss.outputs()), float64(c.Hidden)
	latent := float64(d.Ids) * w
	size := (in + out) * latent
	if h > 0 {
		size = (in + out + 2*latent) * h
	}
	return size + float64(v.entries(d.Codes))*w
}

func (v vqvaeVariant) memory(c Config, d Dims, rows, sample int64) int64 {
	k, t, w, row := int64(v.entries(d.Codes)), int64(d.Ids), int64(v.width(c)), int64(d.Row)
	out := row * int64(c.Loss.outputs())
	return int64(v.weights(c, d))*4*4 + k*w*3*8 + rows*(t*k+4*out+6*(row+int64(c.Hidden)+t*w))*4 + sample*(row+t*(w+k))*4
}

func (v vqvaeVariant) coder(c Config, d Dims) (loadable, error) { return newVQVAE(v.vqvaeArch, c, d) }

func (v vqvaeVariant) learner(c Config, d Dims) (Learner, error) {
	return newVQVAELearner(v.vqvaeArch, c, d)
}
