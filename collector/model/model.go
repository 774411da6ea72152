package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// maxConfigBytes bounds config.json before it is read; real ones have a few kilobytes.
const maxConfigBytes = 1 << 20

// Info says which checkpoint a model is.
type Info struct {
	Name   string // the last element of its directory; in a hub cache the model's
	Arch   string // model_type of config.json
	Digest string // SHA-256, hex, over config.json and every weight's name, shape, type and bytes
	arch.Shape
}

// Model is one checkpoint in memory. Forward may be called from several goroutines at a time.
type Model struct {
	info   Info
	net    arch.Network
	target Target
	// pin puts a tensor into memory that a device copies into at full speed; nil: the taps are in host memory already.
	pin func(s *torch.Scope, x *torch.Tensor) *torch.Tensor
}

// Target is where the weights go, and the precision of the linear maps.
type Target = layer.Target

// Load is LoadOn for the CPU in fp32.
func Load(dir string) (*Model, error) { return LoadOn(dir, Target{}) }

// LoadOn reads config.json and the safetensors weights of dir, which may be a model in a hub cache (see
// Resolve) or a .gguf file. Errors: arch.ErrUnsupported, layer.ErrMismatch, safetensors.ErrCorrupt,
// gguf.ErrCorrupt, gguf.ErrUnsupported, ErrSnapshot, or what the file system says.
func LoadOn(dir string, to Target) (*Model, error) {
	if err := computes(to); err != nil {
		return nil, err
	}
	dir, config, ckpt, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer ckpt.Close()
	m := &Model{target: to}
	if to.First().IsCUDA() {
		m.pin = func(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return s.Pin(x, to.First()) }
	}
	if m.info, err = identify(dir, config, ckpt); err != nil {
		return nil, err
	}
	err = torch.Do(func(s *torch.Scope) error {
		m.net, err = arch.Load(s, config, layer.NewSource(ckpt, to))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load model %s: %w", dir, err)
	}
	m.info.Shape = m.net.Shape()
	return m, nil
}

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
		return fmt.Errorf("compute %s on %s: this libtorch (%s) cannot: %w", to.Compute, to.First(), torch.Version(), err)
	}
	return nil
}

// Identify returns the Info that Load would, without its Shape and without building the network.
func Identify(dir string) (Info, error) {
	dir, config, ckpt, err := open(dir)
	if err != nil {
		return Info{}, err
	}
	defer ckpt.Close()
	return identify(dir, config, ckpt)
}

// open returns the directory that Resolve finds, and what it holds.
func open(dir string) (at string, config []byte, ckpt weights, err error) {
	if at, err = Resolve(dir); err != nil {
		return "", nil, nil, fmt.Errorf("load model: %w", err)
	}
	if isGGUF(at) {
		config, ckpt, err = openGGUF(at)
		return at, config, ckpt, err
	}
	if config, err = readConfig(filepath.Join(at, "config.json")); err != nil {
		return "", nil, nil, fmt.Errorf("load model %s: %w", dir, err)
	}
	if ckpt, err = safetensors.OpenDir(at); err != nil {
		return "", nil, nil, fmt.Errorf("load model %s: %w", dir, err)
	}
	return at, config, ckpt, nil
}

func readConfig(path string) ([]byte, error) {
	stat, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no config.json there; --model wants a directory with config.json, tokenizer.json and *.safetensors: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if stat.Size() > maxConfigBytes {
		return nil, fmt.Errorf("%s has %d bytes; a config.json has at most %d", path, stat.Size(), maxConfigBytes)
	}
	return os.ReadFile(path)
}

func identify(dir string, config []byte, ckpt weights) (Info, error) {
	kind, err := arch.ModelType(config)
	if err != nil {
		return Info{}, fmt.Errorf("load model %s: %w", dir, err)
	}
	name, err := nameOf(dir)
	if err != nil {
		return Info{}, err
	}
	weights, err := ckpt.Digest()
	if err != nil {
		return Info{}, fmt.Errorf("hash model %s: %w", dir, err)
	}
	sum := sha256.Sum256(append(append([]byte{}, config...), weights...))
	return Info{Name: name, Arch: kind, Digest: hex.EncodeToString(sum[:])}, nil
}

// Info says which checkpoint this is.
func (m *Model) Info() Info { return m.info }

// Width is the number of channels D at a tap.
func (m *Model) Width(t tap.Tap) int { return m.net.Width(t.Site) }
