package adapter

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"actfleet/shard/tap"
)

// ErrMismatch says that an adapter does not fit the network: a module that it does not have, an array of another shape.
var ErrMismatch = errors.New("adapter does not fit the model")

// ErrUnsupported says that an adapter asks for something this package does not compute.
var ErrUnsupported = errors.New("unsupported adapter")

// ErrCorrupt says that an adapter's files contradict themselves or are not whole.
var ErrCorrupt = errors.New("adapter is damaged")

// Array is one array of an adapter, row-major.
type Array struct {
	Name  string // "lora_A"; of Weights, the whole parameter's
	Shape []int
	Data  []float32
}

// Set is one adapter.
type Set struct {
	Digest  string // SHA-256, hex, over what decides its mathematics; "" where it was not read
	Base    string // base_model_name_or_path, for messages
	Modules []Module
	Steps   []Step
	// Weights are parameters of the base that the adapter has its own of, by the checkpoint's names.
	Weights []Array
	// TiedHead says that an own embedding is the output matrix too, where the base has one matrix for both.
	TiedHead bool

	means *targets // which modules its config means; nil: those it has
}

// WeightNames are the names of Weights.
func (set *Set) WeightNames() (names []string) {
	for _, a := range set.Weights {
		names = append(names, a.Name)
	}
	return names
}

// Module is the change of one linear map.
type Module struct {
	Name   string // of the map, as the checkpoint's weights are named: "model.layers.0.self_attn.q_proj"
	Kind   Kind
	Arrays []Array
	// Gain is what the learned part is multiplied by: α/r of LoRA, LoHa and LoKr (α/√r with rsLoRA), α/(r + 1e-5) of AdaLoRA.
	Gain float64
	// Input says of an IA3 that it scales what the map reads, not what it gives.
	Input bool
	// Terms are those of an OFT's Cayley–Neumann series; 0: the rotation is computed by a solve.
	Terms int
	// Radius bounds the blocks of a constrained OFT; 0: they are not.
	Radius float64
}

// array is the module's array of a name.
func (m Module) array(name string) (Array, bool) {
	i := slices.IndexFunc(m.Arrays, func(a Array) bool { return a.Name == name })
	if i < 0 {
		return Array{}, false
	}
	return m.Arrays[i], true
}

// Step changes what a site of a layer holds: y becomes y ⊙ Mul + Add, and then y + Up·act(Down·x + DownBias) + UpBias,
// where x is what the site From holds (He et al. 2022: a parallel adapter), or y itself (Houlsby et al. 2019: a sequential
// one). Arrays without data are left out.
type Step struct {
	At       tap.Tap
	Mul, Add Array // [D]

	From           tap.Site // of the same layer; "" is At's own
	Down, DownBias Array    // [r, D], [r]
	Up, UpBias     Array    // [D, r], [D]
	Activation     string   // by the name a config.json has
	Gain           float64  // on what Up gives
}

// finite refuses an array that holds a NaN or an infinity.
func finite(owner string, a Array) error {
	for i, v := range a.Data {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w: %s of %s holds %v at %d", ErrCorrupt, a.Name, owner, v, i)
		}
	}
	return nil
}

// shapeText writes a shape as [3 4].
func shapeText(shape []int) string { return strings.ReplaceAll(fmt.Sprint(shape), " ", ", ") }
