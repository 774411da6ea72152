package sae

import (
	"fmt"
	"strings"
)

// Arch is the way a row's latents are chosen and what is paid for them.
type Arch string

// The architectures; the package doc has their equations.
const (
	TopK      Arch = "topk"
	BatchTopK Arch = "batchtopk"
	ReLU      Arch = "relu"
	ReLUApril Arch = "relu_april"
	JumpReLU  Arch = "jumprelu"

	Matryoshka Arch = "matryoshka"
)

// Archs are all architectures, in the order they are shown.
var Archs = []Arch{TopK, BatchTopK, ReLU, ReLUApril, JumpReLU, Matryoshka}

// ParseArch reads the name of an architecture.
func ParseArch(name string) (Arch, error) {
	var names []string
	for _, a := range Archs {
		if string(a) == name {
			return a, nil
		}
		names = append(names, string(a))
	}
	return "", fmt.Errorf("unknown architecture %q: want %s", name, strings.Join(names, ", "))
}

// Revives tells whether an auxiliary loss brings dead latents back.
func (a Arch) Revives() bool { return a == TopK || a.OverBatch() }

// OverBatch tells whether latents are chosen over all rows of a step, and by one threshold later.
func (a Arch) OverBatch() bool { return a == BatchTopK || a == Matryoshka }

// Thresholds tells whether a model has one threshold for every latent.
func (a Arch) Thresholds() bool { return a.OverBatch() || a == JumpReLU }

// free tells whether directions may have any length and the encoder sees x itself.
func (a Arch) free() bool { return a == ReLUApril }
