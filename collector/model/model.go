package model

import (
	"errors"
	"fmt"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// Info says which checkpoint a model is.
type Info struct {
	Name   string // the last element of its directory; in a hub cache the model's
	Arch   string // model_type of config.json
	Digest string // SHA-256, hex, over config.json and every weight's name, shape, type and bytes
	// Accept are the keys of config.json that were passed over because the user said so; nil: none.
	Accept []string
	// Notes are what whoever loads the checkpoint should hear of, a line each.
	Notes []string
	arch.Shape
}

// Model is one checkpoint in memory. Forward may be called from several goroutines at a time.
type Model struct {
	info   Info
	net    arch.Network
	target Target
	// slabs are where kept rows come from devices to, and staging where whole taps and patched rows do, a slab for each pass;
	// nil on the CPU.
	slabs, staging *slabs
}

// Target is where the weights go, and the precision of the linear maps.
type Target = layer.Target

// Load is LoadOn for the CPU in fp32.
func Load(dir string, accept ...string) (*Model, error) { return LoadOn(dir, Target{}, accept...) }

// LoadOn reads config.json and the safetensors weights of dir, which may be a model in a hub cache (see
// Resolve) or a .gguf file. Keys of config.json named in accept are passed over without being understood.
// Errors: arch.ErrUnsupported, layer.ErrMismatch, safetensors.ErrCorrupt, gguf.ErrCorrupt, gguf.ErrUnsupported,
// ErrAdapter, ErrCompute, hub.ErrAbsent, or what the file system says.
func LoadOn(dir string, to Target, accept ...string) (*Model, error) {
	models, err := loadAll(dir, []Target{to}, accept)
	if err != nil {
		return nil, err
	}
	return models[0], nil
}

// loadAll is LoadOn for several targets; the checkpoint is opened and hashed once.
func loadAll(dir string, targets []Target, accept []string) (models []*Model, err error) {
	for _, to := range targets {
		if err := computes(to); err != nil {
			return nil, err
		}
	}
	c, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer c.weights.Close()
	info, err := c.identify()
	if err != nil {
		return nil, err
	}
	info.Accept = accept
	for _, to := range targets {
		m := &Model{info: info, target: to}
		if to.First().IsCUDA() {
			m.slabs, m.staging = newSlabs(2*passes(to)), newSlabs(passes(to))
		}
		err := torch.Do(func(s *torch.Scope) (err error) {
			m.net, err = arch.Load(s, arch.Config{Text: c.text, Accept: accept}, layer.NewSource(c.weights, to))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("load model %s: %w", c.dir, err)
		}
		m.info.Shape = m.net.Shape()
		models = append(models, m)
	}
	return models, nil
}

// ErrCompute says that this libtorch does not compute in the precision asked for.
var ErrCompute = errors.New("this libtorch cannot compute so")

// computes tries a small product: not every libtorch has every 16-bit type on every device.
func computes(to Target) error {
	if to.Compute == 0 || to.Compute == torch.F32 {
		return nil
	}
	err := torch.Do(func(s *torch.Scope) error {
		x := s.Zeros(to.Compute, to.First(), 2, 2)
		s.Linear(x, x, nil)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s on %s, libtorch %s: %w", ErrCompute, to.Compute, to.First(), torch.Version(), err)
	}
	return nil
}

// Identify returns the Info that Load would, without its Shape and without building the network.
func Identify(dir string) (Info, error) {
	c, err := open(dir)
	if err != nil {
		return Info{}, err
	}
	defer c.weights.Close()
	return c.identify()
}

// Info says which checkpoint this is.
func (m *Model) Info() Info { return m.info }

// Width is the number of channels D at a tap; 0 where the model has no such tap.
func (m *Model) Width(t tap.Tap) int { return m.net.Width(t) }

// Same is the site that a site always has the vectors of, the first of them in canonical order; most often itself.
func (m *Model) Same(site tap.Site) tap.Site { return m.net.Same(site) }

// Modules are what transformers calls the model's modules.
func (m *Model) Modules() tap.Modules { return m.net.Modules() }
