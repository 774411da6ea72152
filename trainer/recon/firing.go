package recon

import (
	"math"

	"actfleet/trainer/coder"
)

// Dense is the density above which a latent counts as dense.
const Dense = 0.1

// rare are the densities below which a latent is almost dead.
var rare = []struct {
	name    string
	density float64
}{{"under_1e-6", 1e-6}, {"under_1e-5", 1e-5}}

// Firing counts on how many of N rows each latent is active. Its density is the share.
type Firing struct {
	N     int64
	Count []int64 // [M]
}

// Metrics is dead, under_1e-6, under_1e-5 and dense: how many latents have a density of 0, below 1e-6 (the dead
// among them), below 1e-5, above Dense. Fewer rows than 1/density cannot tell a rare latent from a dead one.
func (f Firing) Metrics() map[string]float64 {
	out := map[string]float64{"dead": 0, "dense": 0}
	for _, r := range rare {
		out[r.name] = 0
	}
	for _, c := range f.Count {
		p := float64(c) / float64(f.N)
		if c == 0 {
			out["dead"]++
		}
		if p > Dense {
			out["dense"]++
		}
		for _, r := range rare {
			if p < r.density {
				out[r.name]++
			}
		}
	}
	return out
}

const binWidth = 0.25

// Histogram begins with the bin of the least density that N rows can show, 1/N.
func (f Firing) Histogram() coder.Histogram {
	bins := max(1, int(math.Ceil(math.Log10(float64(max(f.N, 1)))/binWidth)))
	h := coder.Histogram{From: -float64(bins) * binWidth, Width: binWidth, Count: make([]int, bins)}
	for _, c := range f.Count {
		if c == 0 {
			h.Dead++
			continue
		}
		at := int((math.Log10(float64(c)/float64(f.N)) - h.From) / binWidth)
		h.Count[min(max(at, 0), bins-1)]++
	}
	return h
}
