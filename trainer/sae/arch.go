package sae

import (
	"fmt"
	"strings"
)

// Arch is the name of an architecture: how a row's latents are chosen in training, and the terms of the loss.
type Arch string

// An architecture is what is known of one before it is trained; its variant trains it.
type architecture struct {
	arch       Arch
	activation Activation
	free       bool // directions may have any length, and the encoder sees s·x itself
	together   bool // what is chosen of a row depends on all rows of the batch
	revives    bool // an auxiliary loss brings dead latents back
	sparsity   bool // the penalty has other forms than L1
	defaults   Defaults
	check      func(Config) error // nil where no setting of its own needs a check
	variant    func(*Learner) variant
}

// architectures are all there are, in the order they are shown. A new one is a file of its own and a line here.
var architectures = []architecture{
	archTopK,
	archMultiTopK,
	archBatchTopK,
	archMatryoshka,
	archReLU,
	archReLUApril,
	archGated,
	archJumpReLU,
	archJumpReLUTanh,
}

// Archs are all architectures, in the order they are shown.
var Archs = func() (all []Arch) {
	for _, a := range architectures {
		all = append(all, a.arch)
	}
	return all
}()

// lookup finds an architecture; an unknown one is the zero architecture.
func (a Arch) lookup() (found architecture, ok bool) {
	for _, known := range architectures {
		if known.arch == a {
			return known, true
		}
	}
	return architecture{}, false
}

// ParseArch reads the name of an architecture.
func ParseArch(name string) (Arch, error) {
	if _, ok := Arch(name).lookup(); !ok {
		return "", fmt.Errorf("unknown architecture %q: want %s", name, ArchNames())
	}
	return Arch(name), nil
}

// ArchNames lists the architectures for people.
func ArchNames() string {
	var names []string
	for _, a := range Archs {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

// Activation is how a trained model turns pre-activations a into activations f, whatever it was trained as: all that
// a reader of its weights must know of its architecture.
type Activation int

// The activations. H is the step function with H(0) = 0.
const (
	ReLUActivation      Activation = iota // f = ReLU(a)
	TopKActivation                        // f = ReLU(a) of the K largest a of a row, otherwise 0
	ThresholdActivation                   // f = a·H(a−θ), with one θ for all latents
	JumpReLUActivation                    // f = a·H(a−θ_i)
	GatedActivation                       // f = H(a)·ReLU(exp(r)·W_e z + b_m)
)

// HasThresholds tells whether a model with this activation has thresholds.
func (a Activation) HasThresholds() bool { return a == ThresholdActivation || a == JumpReLUActivation }

// Activation is what models of this architecture use once they are trained.
func (a Arch) Activation() Activation {
	found, _ := a.lookup()
	return found.activation
}

// BoundByK tells whether a row has k active latents, at least on average; else the penalty decides how many.
func (a Arch) BoundByK() bool {
	v := a.Activation()
	return v == TopKActivation || v == ThresholdActivation
}

// Defaults are the settings of an architecture that its authors or our measurements chose.
type Defaults struct {
	AuxK      int     // latents of the auxiliary loss; 0 where the architecture has none
	Penalty   float64 // λ
	Warmup    float64 // share of the steps over which λ rises from 0
	Bandwidth float64 // ε of the pseudo-derivatives of thresholds
	Theta     float64 // θ before the first step
}

// usual are the settings of an architecture that asks for no others.
var usual = Defaults{Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3}

// Defaults are the settings of this architecture for vectors of length d.
func (a Arch) Defaults(d int) Defaults {
	found, _ := a.lookup()
	out := found.defaults
	if found.revives {
		out.AuxK = max(d/2, 1)
	}
	return out
}

// TakesSparsity tells whether Config.Sparsity may be another form than L1.
func (a Arch) TakesSparsity() bool {
	found, _ := a.lookup()
	return found.sparsity
}
