package vq

import (
	"fmt"

	"actfleet/trainer/state"
)

// EMA is one codebook whose codes are moving averages of the rows nearest to them.
const EMA Arch = "ema"

type ema struct{}

func (ema) defaults() Defaults { return Defaults{Ids: 1, DeadShare: rareShare} }

func (ema) check(c Config, d Dims) error {
	if d.Ids != 1 {
		return fmt.Errorf("ids is %d, but %s gives a row one id: residual, product, iris and fsq give more", d.Ids, c.Arch)
	}
	return nil
}

// part is the whole row.
func (ema) part(d Dims, _ int) (from, width int) { return 0, d.Row }

func (ema) rule(s *codebookStats) updateRule { return emaRule{s} }

// emaRule sets codes to their averages.
type emaRule struct{ stats *codebookStats }

// update sets e_k = S_k/Ñ_k. A code that nothing uses any more keeps its place
// rather than fall to the centre.
func (r emaRule) update(float64) {
	s := r.stats
	for k, n := range smoothed(s.emaCount) {
		if s.emaCount[k] < epsilon {
			continue
		}
		for j := range s.w {
			s.codes[k*s.w+j] = float32(s.emaSum[k*s.w+j] / n)
		}
	}
}

// epsilon is ε of the smoothing.
const epsilon = 1e-5

// smoothed is Ñ.
func smoothed(n []float64) []float64 {
	sum := total(n)
	out := make([]float64, len(n))
	for k, v := range n {
		out[k] = (v + epsilon) / (sum + float64(len(n))*epsilon) * sum
	}
	return out
}

func (emaRule) forget([]int) {}

func (emaRule) save(*state.Set, string) {}
