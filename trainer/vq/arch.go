package vq

import (
	"fmt"
	"strings"
)

// Arch is the name of an architecture.
type Arch string

// variant is an architecture. It has a file of its own, which says what is its alone.
type variant interface {
	// defaults are what it takes where a Config leaves it open.
	defaults() Defaults
	// codes is K.
	codes(c Config) (int, error)
	// check refuses sizes that it cannot have.
	check(c Config, d Dims) error
	// minSample is the least number of rows that Init needs.
	minSample(d Dims) int
	// weights is the number of values in a coder's file, but for what is small.
	weights(c Config, d Dims) float64
	// memory is the bytes of a Learner that is given rows at once, and at the start a sample.
	memory(c Config, d Dims, rows, sample int64) int64
	// coder is a tokenizer of zeros.
	coder(c Config, d Dims) (loadable, error)
	// learner is a tokenizer in training.
	learner(c Config, d Dims) (Learner, error)
}

// variants are the architectures in the order they are shown: a further one is its file and a line here.
var variants = []struct {
	Arch
	variant
}{
	{EMA, codebooksVariant{ema{}}},
	{Gradient, codebooksVariant{gradient{}}},
	{Residual, codebooksVariant{residual{}}},
	{Product, codebooksVariant{product{}}},
	{IRIS, vqvaeVariant{iris{}}},
	{FSQ, vqvaeVariant{fsq{}}},
}

// Archs are all architectures.
var Archs = func() (all []Arch) {
	for _, v := range variants {
		all = append(all, v.Arch)
	}
	return all
}()

// ArchNames lists the architectures for people.
func ArchNames() string {
	var names []string
	for _, a := range Archs {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

// ParseArch reads the name of an Arch.
func ParseArch(name string) (Arch, error) {
	_, err := Arch(name).variant()
	return Arch(name), err
}

func (a Arch) variant() (variant, error) {
	for _, v := range variants {
		if v.Arch == a {
			return v.variant, nil
		}
	}
	return nil, fmt.Errorf("unknown kind of tokenizer %q: want %s", string(a), ArchNames())
}

// Defaults are what an architecture takes where its user leaves it open.
type Defaults struct {
	Ids       int     // ids of a row
	LR        float64 // learning rate of Adam; 0 where no gradient moves anything
	DeadShare float64 // share of the mean use below which a code is dead
}

const (
	// rareShare is DeadShare of averages of rows: k-means, too, has codes of few rows, where they are far from all others.
	rareShare = 0.01
	// movedShare is that of codes that a gradient moves, or that follow a network.
	movedShare = 0.1
)

// Defaults are those of an architecture, zero when there is none of that name.
func (a Arch) Defaults() Defaults {
	v, err := a.variant()
	if err != nil {
		return Defaults{}
	}
	return v.defaults()
}
