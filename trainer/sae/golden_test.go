package sae_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/optim"
	"actfleet/trainer/sae"
)

// A golden training is a short one whose weights are known.
type golden struct {
	name   string
	change func(*sae.Config)
	arrays string  // of the State: what checkpoints of older programs hold
	weight float64 // fingerprint of the exported weights
}

const (
	goldenD, goldenRows, goldenSteps = 24, 96, 8
	goldenTarget                     = 8
)

// goldenConfig makes latents of TopK's kin die, get the auxiliary loss and be resampled within a few steps.
func goldenConfig(change func(*sae.Config)) sae.Config {
	c := sae.Config{Width: 40, K: 4, AuxK: 6, AuxCoef: 1. / 32, DeadTokens: 200, Clip: 1, Scale: true, Steps: 2 * goldenSteps, Seed: 7,
		Penalty: 0.5, Warmup: 3, GroupSize: 4, PEnd: 0.3, PFrom: 2, Bandwidth: 0.5, Theta: 0.3, Preact: 1e-3, Prefixes: 3, Resample: 4}
	change(&c)
	return c
}

// goldenBatch is n rows around planted directions; a transcoder's target follows the vector.
func goldenBatch(r *rand.Rand, width, n int) []float32 {
	x := make([]float32, n*width)
	for b := range n {
		row := x[b*width : (b+1)*width]
		for range 3 {
			phase, height := float64(r.IntN(30)), 1+r.Float64()
			for j := range row {
				row[j] += float32(height * math.Cos(phase*float64(j+1)*0.37))
			}
		}
		for j := range row {
			row[j] = 3*row[j] + 2
		}
	}
	return x
}

// goldenMicros splits every batch raggedly.
var goldenMicros = []int{31, 17, 1, 47}

// trainGolden trains a few steps from the seed.
func trainGolden(t testing.TB, c sae.Config) *sae.Learner {
	t.Helper()
	width := goldenD + c.Target
	l, err := sae.New(width, c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(11, 12))
	if err := l.Init(goldenBatch(r, width, 300), 300); err != nil {
		t.Fatal(err)
	}
	for range goldenSteps {
		x := goldenBatch(r, width, goldenRows)
		for _, n := range goldenMicros {
			if err := l.Micro(x[:n*width], n); err != nil {
				t.Fatal(err)
			}
			x = x[n*width:]
		}
		if _, err := l.Step(3e-3); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// fingerprint is a projection of all weights, and their norm.
func fingerprint(m *sae.Model) (sum, norm float64) {
	i := 0
	for _, v := range [][]float32{m.WEnc, m.BEnc, m.WDec, m.BDec, m.Theta, m.RMag, m.BMag, m.WSkip} {
		for _, w := range v {
			i++
			sum += float64(w) * math.Sin(float64(i))
			norm += float64(w) * float64(w)
		}
	}
	return sum, math.Sqrt(norm)
}

// stateArrays names what a State holds besides the arrays of every training and the optimizer's, with shapes, in
// alphabetical order.
func stateArrays(t *testing.T, l *sae.Learner) string {
	t.Helper()
	var file bytes.Buffer
	if err := l.State().Encode(&file); err != nil {
		t.Fatal(err)
	}
	var header map[string]struct{ Shape []int }
	b := file.Bytes()
	if err := json.Unmarshal(b[8:8+binary.LittleEndian.Uint64(b)], &header); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !strings.Contains(name, ".") && !slices.Contains([]string{"W_enc", "b_enc", "W_dec", "b_dec", "since_fired"}, name) {
			names = append(names, name+strings.ReplaceAll(fmt.Sprint(header[name].Shape), " ", "x"))
		}
	}
	return strings.Join(names, " ")
}

// Fixed seeds give the weights they have always given, within what processors round differently, and checkpoints
// hold the arrays they have always held.
func TestGoldenTrainings(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			l := trainGolden(t, goldenConfig(g.change))
			if sum, norm := fingerprint(l.Export()); math.Abs(sum-g.weight) > 1e-3*norm {
				t.Errorf("fingerprint %.6f of weights with norm %.3f, want %.6f", sum, norm, g.weight)
			}
			if got := stateArrays(t, l); got != g.arrays {
				t.Errorf("the state holds %s, want %s", got, g.arrays)
			}
		})
	}
}

// A training resumed right after dead latents were resampled takes the step it would have taken.
func TestResumesRightAfterResampling(t *testing.T) {
	for _, g := range goldens {
		c := goldenConfig(g.change)
		l, width := trainGolden(t, c), goldenD+c.Target
		var file bytes.Buffer
		again, err := sae.New(width, c)
		if err := errors.Join(err, l.State().Encode(&file)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(again.State().Decode("checkpoint", file.Bytes()), again.Restored()); err != nil {
			t.Fatal(err)
		}
		x := goldenBatch(rand.New(rand.NewPCG(13, 14)), width, goldenRows)
		var sums [2]float64
		for i, m := range []*sae.Learner{l, again} {
			if err := m.Micro(x, goldenRows); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Step(3e-3); err != nil {
				t.Fatal(err)
			}
			sums[i], _ = fingerprint(m.Export())
		}
		if sums[0] != sums[1] {
			t.Errorf("%s: fingerprint %v, resumed %v", g.name, sums[0], sums[1])
		}
	}
}

var goldens = []golden{
	{name: "topk", weight: -2.568421, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch = sae.TopK }},
	{name: "topk averaged", weight: -4.772722, arrays: "adam_steps[1] constants[3] ema_begun[1]",
		change: func(c *sae.Config) { c.EMA = 0.9 }},
	{name: "topk unscaled, from data, signsgd", weight: -6.447223, arrays: "constants[3] sign_steps[1] sign_sums[2]",
		change: func(c *sae.Config) { c.Scale, c.DataInit, c.Optimizer = false, 0.5, optim.Default(optim.BySignSGD) }},
	{name: "topk importance", weight: -6.188854, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[24]",
		change: func(c *sae.Config) { c.Importance = slices.Repeat([]float32{0.5, 1.5}, goldenD/2) }},
	{name: "topk transcoder", weight: -2.592382, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[8]",
		change: func(c *sae.Config) { c.Target = goldenTarget }},
	{name: "topk crosscoder", weight: -2.621605, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[24]",
		change: func(c *sae.Config) { c.Parts = []int{10, 14} }},
	{name: "multitopk", weight: -2.414607, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch = sae.MultiTopK }},
	{name: "multitopk transcoder with skip", weight: -6.417010, arrays: "W_skip[8x24] adam_steps[1] constants[3] gain_in[24] gain_out[8]",
		change: func(c *sae.Config) { c.Arch, c.Target, c.Skip, c.DataInit = sae.MultiTopK, goldenTarget, true, 0.3 }},
	{name: "batchtopk", weight: -2.777228, arrays: "adam_steps[1] constants[4]",
		change: func(c *sae.Config) { c.Arch = sae.BatchTopK }},
	{name: "batchtopk averaged", weight: -4.853545, arrays: "adam_steps[1] constants[4] ema_begun[1]",
		change: func(c *sae.Config) { c.Arch, c.EMA = sae.BatchTopK, 0.9 }},
	{name: "matryoshka", weight: -2.656922, arrays: "adam_steps[1] constants[4]",
		change: func(c *sae.Config) { c.Arch = sae.Matryoshka }},
	{name: "matryoshka sampled", weight: -2.462275, arrays: "adam_steps[1] constants[4]",
		change: func(c *sae.Config) { c.Arch, c.Sampled = sae.Matryoshka, true }},
	{name: "matryoshka transcoder with skip", weight: -2.536048, arrays: "W_skip[8x24] adam_steps[1] constants[4] gain_in[24] gain_out[8]",
		change: func(c *sae.Config) { c.Arch, c.Target, c.Skip = sae.Matryoshka, goldenTarget, true }},
	{name: "relu", weight: -6.018477, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch = sae.ReLU }},
	{name: "relu untied", weight: -7.411542, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch, c.Untied = sae.ReLU, true }},
	{name: "relu crosscoder", weight: -6.140655, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[24]",
		change: func(c *sae.Config) { c.Arch, c.Parts = sae.ReLU, []int{10, 14} }},
	{name: "relu p_anneal", weight: -6.000038, arrays: "adam_steps[1] constants[4]",
		change: func(c *sae.Config) { c.Arch, c.Sparsity = sae.ReLU, sae.PAnneal }},
	{name: "relu hoyer", weight: -5.586805, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch, c.Sparsity = sae.ReLU, sae.Hoyer }},
	{name: "relu group", weight: -6.048807, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch, c.Sparsity = sae.ReLU, sae.Group }},
	{name: "relu group_hoyer", weight: -6.052182, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch, c.Sparsity = sae.ReLU, sae.GroupHoyer }},
	{name: "relu_april", weight: 1.206960, arrays: "adam_steps[1] constants[3]",
		change: func(c *sae.Config) { c.Arch = sae.ReLUApril }},
	{name: "relu_april crosscoder", weight: 1.152347, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[24]",
		change: func(c *sae.Config) { c.Arch, c.Parts = sae.ReLUApril, []int{10, 14} }},
	{name: "gated", weight: -5.583073, arrays: "adam_steps[1] b_mag[40] constants[3] r_mag[40]",
		change: func(c *sae.Config) { c.Arch = sae.Gated }},
	{name: "gated averaged transcoder with skip", weight: 1.007943, arrays: "W_skip[8x24] adam_steps[1] b_mag[40] constants[3] ema_begun[1] gain_in[24] gain_out[8] r_mag[40]",
		change: func(c *sae.Config) { c.Arch, c.Target, c.Skip, c.EMA = sae.Gated, goldenTarget, true, 0.9 }},
	{name: "gated untied crosscoder", weight: -7.568798, arrays: "adam_steps[1] b_mag[40] constants[3] gain_in[24] gain_out[24] r_mag[40]",
		change: func(c *sae.Config) { c.Arch, c.Untied, c.Parts = sae.Gated, true, []int{10, 14} }},
	{name: "gated resampled", weight: 5.720165, arrays: "b_mag[40] constants[3] r_mag[40] sgd_steps[1]",
		change: func(c *sae.Config) {
			c.Arch, c.Penalty, c.Clip, c.Optimizer = sae.Gated, 5000, 0, optim.Default(optim.BySGD)
		}},
	{name: "jumprelu resampled", weight: 0.790807, arrays: "adam_steps[1] constants[3] log_threshold[40]",
		change: func(c *sae.Config) { c.Arch, c.Theta = sae.JumpReLU, 0.8 }},
	{name: "jumprelu", weight: -5.014760, arrays: "adam_steps[1] constants[3] log_threshold[40]",
		change: func(c *sae.Config) { c.Arch = sae.JumpReLU }},
	{name: "jumprelu averaged", weight: -5.248929, arrays: "adam_steps[1] constants[3] ema_begun[1] log_threshold[40]",
		change: func(c *sae.Config) { c.Arch, c.EMA = sae.JumpReLU, 0.9 }},
	{name: "jumprelu_tanh", weight: 0.824438, arrays: "adam_steps[1] constants[3] log_threshold[40]",
		change: func(c *sae.Config) { c.Arch, c.Bandwidth, c.Theta = sae.JumpReLUTanh, 2, 0.1 }},
	{name: "jumprelu_tanh transcoder", weight: -0.744736, arrays: "adam_steps[1] constants[3] gain_in[24] gain_out[8] log_threshold[40]",
		change: func(c *sae.Config) { c.Arch, c.Bandwidth, c.Theta, c.Target = sae.JumpReLUTanh, 2, 0.1, goldenTarget }},
}
