package export

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/folder"
	"actfleet/trainer/sae"
)

// randomModel has no symmetry that would hide a transposed or swapped array. Its kind is an
// architecture, of a transcoder behind "transcoder_" or "skip_transcoder_".
func randomModel(seed uint64, d, m int, kind string) *sae.Model {
	name, skips := strings.CutPrefix(kind, "skip_")
	name, transcodes := strings.CutPrefix(name, "transcoder_")
	arch, out := sae.Arch(name), 0
	if transcodes {
		out = d
	}
	r := rand.New(rand.NewPCG(seed, 1))
	fill := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	model := sae.NewModel(sae.Weights{D: d, M: m, Out: out, WEnc: fill(m * d), BEnc: fill(m), WDec: fill(m * d), BDec: fill(d)})
	model.Arch, model.K = arch, max(m/4, 1)
	switch arch.Activation() {
	case sae.ThresholdActivation:
		model.Theta = slices.Repeat([]float32{0.7}, m)
	case sae.JumpReLUActivation:
		for range m {
			model.Theta = append(model.Theta, float32(r.ExpFloat64()))
		}
	case sae.GatedActivation:
		model.RMag, model.BMag = fill(m), fill(m)
	}
	if skips {
		model.Skip, model.WSkip = true, fill(out*d)
	}
	return model
}

func rows(seed uint64, n, d int) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(3*r.NormFloat64() + 1)
	}
	return x
}

// dense is the codes [n, M] and reconstructions [n, D] of rows.
func dense(t testing.TB, m *sae.Model, x []float32, n int) (f, xhat []float32) {
	t.Helper()
	var c sae.Codes
	xhat = make([]float32, n*m.Outputs())
	rows := make([]float32, 0, n*m.Row())
	for b := range n { // the target plays no part
		rows = append(append(rows, x[b*m.D:(b+1)*m.D]...), make([]float32, m.Out)...)
	}
	if err := m.Reconstruct(rows, xhat, n, &c); err != nil {
		t.Fatal(err)
	}
	f = make([]float32, n*m.M)
	for b := range n {
		idx, val := c.Row(b)
		for j, i := range idx {
			f[b*m.M+int(i)] = val[j]
		}
	}
	return f, xhat
}

func apart(a, b []float32) (worst float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// holds lists what each layout can keep.
var holds = map[Format][]string{
	SAELens: append(archs(), "transcoder_relu", "transcoder_jumprelu", "transcoder_batchtopk", "skip_transcoder_relu_april",
		"skip_transcoder_jumprelu_tanh"),
	Sparsify:           {"topk", "multitopk", "transcoder_topk", "skip_transcoder_multitopk"},
	DictionaryLearning: archs(),
	CircuitTracer:      {"transcoder_relu", "transcoder_jumprelu", "skip_transcoder_relu_april", "skip_transcoder_batchtopk"},
	OpenAI:             {"topk", "multitopk", "relu", "relu_april"},
	NPZ:                append(archs(), "transcoder_topk", "transcoder_jumprelu", "transcoder_gated", "skip_transcoder_relu", "skip_transcoder_gated"),
}

func archs() (names []string) {
	for _, a := range sae.Archs {
		names = append(names, string(a))
	}
	return names
}

var (
	withBOS = true
	origin  = Origin{Model: "org/toy", Column: "fc2_3", Hook: HookOf("phi", "fc2_3"), Target: HookOf("phi", "resid_3"), Layer: 3, Data: "org/texts",
		Context: 128, BOS: &withBOS, Program: "actfleet test"}
)

// What was written in any layout reads back as the same function, whatever the shape.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.SampledFrom(Formats).Draw(rt, "format")
		arch := rapid.SampledFrom(holds[f]).Draw(rt, "arch")
		d, m := rapid.IntRange(1, 9).Draw(rt, "d"), rapid.IntRange(1, 40).Draw(rt, "m")
		model := randomModel(rapid.Uint64().Draw(rt, "seed"), d, m, arch)
		dir := filepath.Join(t.TempDir(), "sub", "out")
		if err := Write(dir, f, model, origin); err != nil {
			t.Fatal(err)
		}
		got, err := Read(dir, f, false)
		if err != nil {
			t.Fatal(err)
		}
		x := rows(7, 20, d)
		wantF, wantX := dense(t, model, x, 20)
		gotF, gotX := dense(t, got, x, 20)
		rounds := f == NPZ || f == DictionaryLearning && strings.HasPrefix(arch, "jumprelu") // b_dec is folded
		if !rounds && (!slices.Equal(gotF, wantF) || !slices.Equal(gotX, wantX)) {
			t.Fatalf("%s of %s: codes differ by %g, reconstructions by %g", f, arch, apart(gotF, wantF), apart(gotX, wantX))
		}
		if rounds && (apart(gotF, wantF) > 1e-4 || apart(gotX, wantX) > 1e-3) {
			t.Fatalf("%s of %s: codes differ by %g, reconstructions by %g", f, arch, apart(gotF, wantF), apart(gotX, wantX))
		}
	})
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	m := randomModel(1, 3, 8, "topk")
	if err := Write(filepath.Dir(dir), NPZ, m, origin); !errors.Is(err, folder.ErrExists) {
		t.Errorf("an existing folder: %v", err)
	}
	if _, err := ParseFormat("pickle", Readable); err == nil {
		t.Error("an unknown format is accepted")
	}
	m.Arch = "other"
	for _, f := range Formats {
		out := filepath.Join(dir, string(f))
		if err := Write(out, f, m, origin); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", f, err)
		}
		if _, err := Read(out, f, false); err == nil {
			t.Errorf("%s: an empty folder is read", f)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a refused export left %v, %v", left, err)
	}
}

// A refusal names the layouts that would do, and none refuses what it is said to hold.
func TestRefusalsNameOthers(t *testing.T) {
	wide := randomModel(1, 4, 8, "topk")
	wide.Parts = []int{2, 2}
	short := randomModel(1, 4, 8, "transcoder_topk")
	short.Out, short.WDec, short.BDec = 2, short.WDec[:16], short.BDec[:2]
	for _, c := range []struct {
		f    Format
		m    *sae.Model
		says string
	}{
		{OpenAI, randomModel(1, 4, 8, "gated"), "openai has no place for gated; saelens, dictionary_learning, npz would hold it"},
		{Sparsify, randomModel(1, 4, 8, "jumprelu"), "sparsify has no place for jumprelu; saelens, dictionary_learning, npz would"},
		{SAELens, randomModel(1, 4, 8, "transcoder_topk"), "no place for transcoders of topk from 4 to 4 values; sparsify, npz would"},
		{Sparsify, short, "transcoders of topk from 4 to 2 values; npz would"},
		{DictionaryLearning, wide, "no place for crosscoders; npz would hold it as one wide autoencoder"},
	} {
		err := Write(filepath.Join(t.TempDir(), "out"), c.f, c.m, origin)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
		for _, f := range Formats {
			if carries(f, c.m) {
				if err := Write(filepath.Join(t.TempDir(), "out"), f, c.m, origin); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
