package sae

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Gradients are what the loss changes by when a weight does, where the loss is smooth: not in
// thresholds, whose gradients are published substitutes, and where no auxiliary target moves along.
func TestFiniteDifferences(t *testing.T) {
	const d, n, h = 6, 40, 1. / 2048
	for _, f := range families {
		if f.config().Arch.Activation() == JumpReLUActivation {
			continue
		}
		f.change = with(f.change, func(c *Config) { c.AuxK = 0 })
		t.Run(f.name, func(t *testing.T) {
			l, _ := f.lossAt(t, d, n, "", 0, 0)
			for _, p := range l.params {
				if f.config().Arch == Gated && (strings.HasSuffix(p.Name, "_dec") || p.Name == "W_skip") {
					continue // the loss of the gates moves with them, their gradient stops
				}
				var off []string
				places := largest(p.Grad, 5)
				for _, at := range places {
					_, up := f.lossAt(t, d, n, p.Name, at, h)
					_, down := f.lossAt(t, d, n, p.Name, at, -h)
					got, want := float64(p.Grad[at])/n, (up-down)/(2*h)
					if math.Abs(got-want) > 0.02*math.Abs(want)+0.01 {
						off = append(off, fmt.Sprintf("%s[%d] %v, not %v", p.Name, at, got, want))
					}
				}
				if len(off) > 1 { // one row's choice of latents may change on the way: there the loss jumps
					t.Errorf("gradients differ from differences: %s", off)
				}
			}
		})
	}
}

func with(first, then func(*Config)) func(*Config) {
	return func(c *Config) { first(c); then(c) }
}

// lossAt is the loss of fixed rows, with the gradients summed over them, after a weight was moved.
func (f family) lossAt(t *testing.T, d, n int, name string, at int, by float32) (*Learner, float64) {
	t.Helper()
	l, r := f.exact(t, 1, d), rand.New(rand.NewPCG(6, 7))
	for _, p := range l.params {
		for i := range p.Value {
			p.Value[i] = float32(0.6 * normal(r))
		}
		if p.Name == name {
			p.Value[at] += by
		}
	}
	l.beginBatch()
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(normal(r))
	}
	if err := l.Micro(x, n); err != nil {
		t.Fatal(err)
	}
	if err := l.variant.flush(); err != nil {
		t.Fatal(err)
	}
	l.biasGradient()
	l.variant.finish()
	return l, l.metrics(0)["loss"]
}

// largest are the places of the n greatest magnitudes.
func largest(v []float32, n int) (at []int) {
	for i := range v {
		at = append(at, i)
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(math.Abs(float64(v[b])), math.Abs(float64(v[a]))) })
	return at[:min(n, len(at))]
}
