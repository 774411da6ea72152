package vq

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/trainer/state"
)

// Codec is a tokenizer with networks: the encoder makes T pieces of w values of a
// row, a quantiser makes an id of each, and the decoder a row of the pieces that the
// ids stand for.
type Codec struct {
	frame
	arch     Arch
	dims     Dims
	piece    int // w
	enc, dec net
	quant    quantiser
	book     *book // of IRIS, its quantiser; else nil
	target   target

	ids []int32   // work, [n, T]
	q   []float32 // work, [n, T·w]
}

func newCodec(cfg Config, dims Dims) *Codec {
	c := &Codec{frame: newFrame(dims.Row), arch: cfg.Arch, dims: dims}
	if cfg.Arch == IRIS {
		b := newBook(dims.Codes, cfg.Width)
		c.book, c.quant, c.piece = &b, &b, cfg.Width
	} else {
		c.quant, c.piece = newGrid(cfg.Levels), len(cfg.Levels)
	}
	c.target = targets[cfg.Loss]
	c.enc, c.dec = newNet(dims.Row, cfg.Hidden, c.middle()), newNet(c.middle(), cfg.Hidden, dims.Row*c.target.outputs())
	return c
}

// middle is the number of values between encoder and decoder, T·w.
func (c *Codec) middle() int { return c.dims.Ids * c.piece }

// Dims are the sizes.
func (c *Codec) Dims() Dims { return c.dims }

// Encode writes the ids [n, T] of n rows x [n, D].
func (c *Codec) Encode(x []float32, n int, ids []int32) error {
	if err := c.dims.check(x, n, ids); err != nil {
		return err
	}
	z := c.in(x, n)
	return torch.Do(func(s *torch.Scope) error {
		u := c.enc.apply(s, torch.WrapFloat32(s, z, int64(n), int64(c.dims.Row)), plain(s))
		return c.quant.ids(u.Float32s(), n*c.dims.Ids, ids)
	})
}

// Decode writes the rows xhat [n, D] that ids [n, T] stand for.
func (c *Codec) Decode(ids []int32, n int, xhat []float32) error {
	if err := c.dims.checkIds(xhat, n, ids); err != nil {
		return err
	}
	c.q = grow(c.q, n*c.middle())
	c.quant.vectors(ids, n*c.dims.Ids, c.q)
	return torch.Do(func(s *torch.Scope) error {
		out := c.dec.apply(s, torch.WrapFloat32(s, c.q, int64(n), int64(c.middle())), plain(s))
		copy(xhat, c.target.value(s, out).Float32s())
		c.out(xhat[:n*c.dims.Row])
		return nil
	})
}

// Save writes centre [d], scale, encoder.* and decoder.* weights and biases, and the
// codebook [K, w] of IRIS.
func (c *Codec) Save(path string) error {
	return c.files().Save(path, map[string]string{"format": "pt", "arch": string(c.arch)})
}

func (c *Codec) files() *state.Set {
	s := &state.Set{}
	c.frame.state(s)
	for _, p := range append(c.enc.params("encoder"), c.dec.params("decoder")...) {
		state.Add(s, p.Name, p.Value, p.Shape...)
	}
	if c.book != nil {
		state.Add(s, "codebook", c.book.codes, c.book.k, c.book.w)
	}
	return s
}

func loadCodec(path string, cfg Config, dims Dims) (*Codec, error) {
	if err := cfg.nets(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err := state.Holds(path, 4*cfg.Weights(dims)); err != nil {
		return nil, err
	}
	c := newCodec(cfg, dims)
	if err := c.files().Load(path); err != nil {
		return nil, err
	}
	if !(c.scale[0] > 0) {
		return nil, fmt.Errorf("load %s: scale is %v, must be above 0", path, c.scale[0])
	}
	return c, nil
}

// Weights is the number of weights and code values of a tokenizer with networks.
func (c Config) Weights(dims Dims) float64 {
	piece, out := float64(c.Width), float64(dims.Row*c.Loss.Outputs())
	if c.Arch == FSQ {
		piece = float64(len(c.Levels))
	}
	in, middle, h := float64(dims.Row), float64(dims.Ids)*piece, float64(c.Hidden)
	size := (in + out) * middle
	if h > 0 {
		size = (in + out + 2*middle) * h
	}
	if c.Arch == IRIS {
		size += float64(dims.Codes) * piece
	}
	return size
}

// maxUnits bounds the sizes of networks.
const maxUnits = 1 << 16

// nets refuses sizes that no networks have.
func (c Config) nets() error {
	switch {
	case c.Hidden < 0 || c.Hidden > maxUnits:
		return fmt.Errorf("hidden is %d, must be between 0 and %d", c.Hidden, maxUnits)
	case c.Arch == IRIS && (c.Width < 1 || c.Width > maxUnits):
		return fmt.Errorf("code_width is %d, must be between 1 and %d", c.Width, maxUnits)
	}
	_, err := c.target()
	return err
}
