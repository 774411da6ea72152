package vq

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Arch is a kind of tokenizer.
type Arch string

// The kinds there are.
const (
	EMA      Arch = "ema"      // one codebook of averaged rows
	Gradient Arch = "gradient" // one codebook, moved by the gradient of the codebook loss
	Residual Arch = "residual" // codebooks in a row, each for what the ones before left
	Product  Arch = "product"  // a codebook for every part of the vector
	IRIS     Arch = "iris"     // encoder, one codebook for all ids, decoder
	FSQ      Arch = "fsq"      // encoder, rounding to levels, decoder
)

// Archs are all of them.
var Archs = []Arch{EMA, Gradient, Residual, Product, IRIS, FSQ}

// ParseArch reads the name of an Arch.
func ParseArch(s string) (Arch, error) {
	if slices.Contains(Archs, Arch(s)) {
		return Arch(s), nil
	}
	var names []string
	for _, a := range Archs {
		names = append(names, string(a))
	}
	return "", fmt.Errorf("unknown kind of tokenizer %q: want %s", s, strings.Join(names, ", "))
}

// Nets tells whether encoder and decoder are networks.
func (a Arch) Nets() bool { return a == IRIS || a == FSQ }

// Descends tells whether a learning rate plays a part.
func (a Arch) Descends() bool { return a == Gradient || a.Nets() }

// Books tells whether there are codebooks.
func (a Arch) Books() bool { return a != FSQ }

// Single tells whether a row has one id.
func (a Arch) Single() bool { return a == EMA || a == Gradient }

// Dims are the sizes of a tokenizer. Row and Ids are lengths, Codes is a count of
// values: they are never exchanged for one another.
type Dims struct {
	Row   int // D, values of a row
	Ids   int // T, ids of a row
	Codes int // K, values an id can have: 0 … K−1
}

// Bits is what the ids of a row take when each has its full length, T·log₂K.
func (d Dims) Bits() float64 { return float64(d.Ids) * math.Log2(float64(d.Codes)) }

// Limits of what a file or a config may ask for.
const (
	maxCodes = 1 << 20
	maxIds   = 1 << 10
)

// Dims are the sizes of a tokenizer of rows of d values, or what is wrong with them.
func (c Config) Dims(d int) (Dims, error) {
	out := Dims{Row: d, Ids: c.Ids, Codes: c.Codes}
	if c.Arch == FSQ {
		k, err := levelCodes(c.Levels)
		if err != nil {
			return out, err
		}
		out.Codes = k
	}
	switch {
	case d < 1:
		return out, fmt.Errorf("vectors of %d values cannot be coded", d)
	case out.Codes < 2 || out.Codes > maxCodes:
		return out, fmt.Errorf("codes is %d, must be between 2 and %d", out.Codes, maxCodes)
	case out.Ids < 1 || out.Ids > maxIds:
		return out, fmt.Errorf("ids is %d, must be between 1 and %d", out.Ids, maxIds)
	case c.Arch.Single() && out.Ids != 1:
		return out, fmt.Errorf("ids is %d, but %s gives a row one id: residual, product, iris and fsq give more", out.Ids, c.Arch)
	case c.Arch == Product && d%out.Ids != 0:
		return out, fmt.Errorf("ids is %d, which does not divide vectors of %d into parts of one length", out.Ids, d)
	}
	return out, nil
}

// levelCodes is the number of ids that levels make.
func levelCodes(levels []int) (int, error) {
	k := 1
	for _, l := range levels {
		if l < 2 || l > maxCodes {
			return 0, fmt.Errorf("levels: %d is not a number of levels, must be at least 2", l)
		}
		if k *= l; k > maxCodes {
			return 0, fmt.Errorf("levels: their product is above %d", maxCodes)
		}
	}
	if len(levels) == 0 {
		return 0, fmt.Errorf("levels: the list is empty")
	}
	return k, nil
}
