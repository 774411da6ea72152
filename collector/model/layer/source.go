package layer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"

	"actfleet/internal/mapped"
	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
)

// ErrMismatch says that a checkpoint's weights and its config.json contradict each other: a missing or
// unused weight, or one of another shape.
var ErrMismatch = errors.New("weights do not fit config.json")

// Weights is an open checkpoint: a *safetensors.Checkpoint, or a GGUF file seen as one.
type Weights interface {
	Tensors() []safetensors.Info
	// Bytes is the data of a tensor, little-endian, row-major.
	Bytes(name string) ([]byte, error)
}

// Source hands out the weights of one checkpoint as kept tensors and remembers which were taken.
type Source struct {
	ckpt   Weights
	infos  map[string]safetensors.Info
	taken  map[string]bool
	target Target
	device torch.Device // of what is handed out
}

// NewSource starts reading from an open checkpoint, which must stay open until Done, for a target.
func NewSource(ckpt Weights, to Target) *Source {
	src := &Source{ckpt: ckpt, infos: map[string]safetensors.Info{}, taken: map[string]bool{}, target: to, device: to.First()}
	for _, info := range ckpt.Tensors() {
		src.infos[info.Name] = info
	}
	return src
}

// Cut shares the network's n blocks out among the target's devices by the bytes that their weights take up there, and returns
// the target so cut; block says which block a weight belongs to, −1 of none.
func (src *Source) Cut(n int, block func(name string) int) Target {
	var first int64
	blocks := make([]int64, n)
	for name, info := range src.infos {
		elements := int64(1)
		for _, d := range info.Shape {
			elements *= d
		}
		if i := block(name); i >= 0 {
			blocks[i] += elements * src.target.dtype().Size()
		} else {
			first += elements * torch.F32.Size()
		}
	}
	src.target = src.target.Cut(first, blocks)
	return src.target
}

// Block is the source of the weights of block i, which go to that block's device; the target must be cut.
func (src *Source) Block(i int) *Source {
	part := *src
	part.device = src.target.Block(i)
	return &part
}

// Has says whether the checkpoint holds a weight of this name.
func (src *Source) Has(name string) bool { _, ok := src.infos[name]; return ok }

// Tensor returns the named weight as an fp32 tensor that the scope keeps (the caller owns it).
// It fails with ErrMismatch when the weight is absent or has another shape than dims.
func (src *Source) Tensor(s *torch.Scope, name string, dims ...int) (*torch.Tensor, error) {
	return src.tensor(s, name, torch.F32, dims)
}

// tensor is Tensor in another type.
func (src *Source) tensor(s *torch.Scope, name string, as torch.Dtype, dims []int) (_ *torch.Tensor, err error) {
	defer mapped.Guard(&err)() // a reader of the checkpoint may be in the midst of its file
	info, ok := src.infos[name]
	if !ok {
		return nil, fmt.Errorf("%w: config.json asks for weight %s, the checkpoint has none", ErrMismatch, name)
	}
	want := int64s(dims)
	if !slices.Equal(info.Shape, want) {
		return nil, fmt.Errorf("%w: weight %s is %v, config.json says %v", ErrMismatch, name, info.Shape, want)
	}
	dtype, err := torchDtype(info.Dtype)
	if err != nil {
		return nil, fmt.Errorf("weight %s: %w", name, err)
	}
	raw, err := src.ckpt.Bytes(name)
	if err != nil {
		return nil, err
	}
	if err := mapped.Touch(raw); err != nil { // torch has no guard
		return nil, err
	}
	defer runtime.KeepAlive(raw) // torch sees its memory, Go does not see torch
	src.taken[name] = true
	t := torch.Wrap(s, raw, dtype, want...)
	if dtype == as && src.device == torch.CPU {
		return s.Keep(s.Clone(t)), nil
	}
	return s.Keep(s.ToDevice(s.To(t, as), src.device)), nil
}

// Done fails with ErrMismatch when the checkpoint holds weights that no layer took, except those for
// which ignore returns true (buffers some files carry along).
func (src *Source) Done(ignore func(name string) bool) error {
	var left []string
	for name := range src.infos {
		if !src.taken[name] && !ignore(name) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	sort.Strings(left)
	return fmt.Errorf("%w: no layer uses %d weights, among them %s", ErrMismatch, len(left), strings.Join(left[:min(3, len(left))], ", "))
}

func torchDtype(d safetensors.Dtype) (torch.Dtype, error) {
	switch d {
	case safetensors.F32:
		return torch.F32, nil
	case safetensors.F16:
		return torch.F16, nil
	case safetensors.BF16:
		return torch.BF16, nil
	}
	return 0, fmt.Errorf("dtype %s cannot hold a model's weights (F32, F16 and BF16 can)", d)
}

func int64s(dims []int) []int64 {
	out := make([]int64, len(dims))
	for i, d := range dims {
		out[i] = int64(d)
	}
	return out
}
