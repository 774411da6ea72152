package coder

import (
	"math/rand/v2"
	"testing"
)

// shape is how the norms of a column of SmolLM2-135M lie over 2,000 statements, in medians of the column.
type shape struct {
	mad    float64   // median distance from the median
	first  float64   // median at position 0
	others []float64 // the longest rows at other positions
	word   float64   // where greater than 0: every 28th row, a frequent word, has about so long a vector
}

// norms are rows of prompts of 6 to 18 tokens.
func (s shape) norms() (norms []float64, pos []int32) {
	r := rand.New(rand.NewPCG(1, 2))
	for prompt := range 700 {
		for at := range int32(6 + prompt%13) {
			v := 1 + max(-0.9, r.NormFloat64()*s.mad/0.6745)
			switch {
			case at == 0:
				v = s.first * (1 + 0.1*r.NormFloat64())
			case at == 2 && prompt < len(s.others):
				v = s.others[prompt]
			case s.word > 0 && len(norms)%28 == 9:
				v = s.word * (1 + 0.2*r.NormFloat64())
			}
			norms, pos = append(norms, 40*v), append(pos, at)
		}
	}
	return norms, pos
}

// The scan finds the sinks of a real model's columns: those of hundreds of medians and those that have nearly faded in the
// last layers, and not a word that an early layer gives long vectors.
func TestShapesOfSinks(t *testing.T) {
	for name, tt := range map[string]struct {
		shape
		sinks, alone int // token positions and rows elsewhere
	}{
		"Wqkv_12":    {shape{mad: 0.04, first: 0.9, others: []float64{1.4}}, 0, 0},
		"out_proj_3": {shape{mad: 0.18, first: 1, others: []float64{3.5, 3, 3}}, 0, 0},
		"fc2_15":     {shape{mad: 0.10, first: 0.1, others: []float64{2.1, 2, 2}}, 0, 0},
		"resid_0":    {shape{mad: 0.17, first: 1.2, others: []float64{2.1}}, 0, 0},
		"fc2_1":      {shape{mad: 0.30, first: 8.8, others: []float64{3}}, 1, 0},
		"resid_5":    {shape{mad: 0.10, first: 7.2, word: 5.6}, 1, 0},
		"resid_12":   {shape{mad: 0.12, first: 159, others: []float64{2.2}}, 1, 0},
		"resid_15":   {shape{mad: 0.09, first: 127, others: []float64{147, 35.6, 8.1, 1.4}}, 1, 3},
		"fc1_29":     {shape{mad: 0.06, first: 3.3, others: []float64{1.4}}, 1, 0},
		"fc2_29":     {shape{mad: 0.13, first: 13.6, others: []float64{14.1, 3}}, 1, 1},
		"resid_29":   {shape{mad: 0.11, first: 6.8, others: []float64{9.5, 8.7, 2.4}}, 1, 2},
	} {
		norms, pos := tt.norms()
		n := NormsOf(name, norms, pos)
		alone := 0
		for i, v := range norms {
			if n.Sink(v, pos[i]) && !n.At(pos[i]) {
				alone++
			}
		}
		if len(n.Positions) != tt.sinks || alone != tt.alone || n.Sinks != alone+tt.sinks*700 {
			t.Errorf("%s: %d positions and %d rows elsewhere, want %d and %d: %s", name, len(n.Positions), alone, tt.sinks, tt.alone, n)
		}
	}
}
