package sae

import (
	"fmt"
	"strings"
)

// Arch is the way a row's latents are chosen and what is paid for them.
type Arch string

// The architectures; the package doc has their equations.
const (
	TopK         Arch = "topk"
	MultiTopK    Arch = "multitopk"
	BatchTopK    Arch = "batchtopk"
	Matryoshka   Arch = "matryoshka"
	ReLU         Arch = "relu"
	ReLUApril    Arch = "relu_april"
	Gated        Arch = "gated"
	JumpReLU     Arch = "jumprelu"
	JumpReLUTanh Arch = "jumprelu_tanh"
)

// Archs are all architectures, in the order they are shown.
var Archs = []Arch{TopK, MultiTopK, BatchTopK, Matryoshka, ReLU, ReLUApril, Gated, JumpReLU, JumpReLUTanh}

// ParseArch reads the name of an architecture.
func ParseArch(name string) (Arch, error) {
	for _, a := range Archs {
		if string(a) == name {
			return a, nil
		}
	}
	return "", fmt.Errorf("unknown architecture %q: want %s", name, ArchNames())
}

// ArchNames lists the architectures for people.
func ArchNames() string {
	var names []string
	for _, a := range Archs {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

// Revives tells whether an auxiliary loss brings dead latents back.
func (a Arch) Revives() bool { return a.PerRow() || a.OverBatch() }

// PerRow tells whether every row keeps its K largest latents.
func (a Arch) PerRow() bool { return a == TopK || a == MultiTopK }

// OverBatch tells whether latents are chosen over all rows of a step, and by one threshold later.
func (a Arch) OverBatch() bool { return a == BatchTopK || a == Matryoshka }

// Jumps tells whether a model learns one threshold for every latent.
func (a Arch) Jumps() bool { return a == JumpReLU || a == JumpReLUTanh }

// Thresholds tells whether a model has one threshold for every latent.
func (a Arch) Thresholds() bool { return a.OverBatch() || a.Jumps() }

// free tells whether directions may have any length and the encoder sees x itself.
func (a Arch) free() bool { return a == ReLUApril || a == JumpReLUTanh }
