package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/shard/tap"
)

// Prompts that go through the model together, after what they share, give the states that each gives alone, also where
// vectors are replaced.
func TestPatchedRunOfBatches(t *testing.T) {
	for _, first := range []tap.Tap{{Site: tap.FC2, Layer: 1}, {Site: tap.Embed}} {
		t.Run(first.Column(""), func(t *testing.T) { patchedRunOfBatches(t, first) })
	}
}

func patchedRunOfBatches(t *testing.T, first tap.Tap) {
	m, err := model.Load(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	p := patchedTaps{patched: &patched{model: m}, taps: []tap.Tap{first, {Site: tap.Resid, Layer: 2}}}
	defer p.free()
	begin := []int32{5, 9, 3, 17, 11, 2, 8, 30, 21}
	var prompts [][]int32
	for _, tail := range [][]int32{{4}, {7, 7, 12, 40, 1, 13}, {6, 22, 19}} {
		prompts = append(prompts, append(append([]int32(nil), begin...), tail...))
	}
	halve := func(column, _ int, x []float32) (bool, error) { // the last two columns of every prompt's last token
		d := m.Width(p.taps[column])
		for i := len(x) - d; i < len(x); i++ {
			x[i] /= 2
		}
		return true, nil
	}
	run := func(prompts [][]int32, shared int) [][]float32 {
		from := slices.Repeat([]int32{int32(shared)}, len(prompts))
		b, err := p.Begin(t.Context(), prompts, shared, from)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Free()
		states, err := b.Run(t.Context(), halve)
		if err != nil {
			t.Fatal(err)
		}
		return states
	}
	for _, shared := range []int{0, len(begin)} {
		together := run(prompts, shared)
		for i, ids := range prompts {
			alone := run([][]int32{ids}, 0)
			from := shared * m.Info().Hidden
			if len(together[i]) != len(alone[0])-from {
				t.Fatalf("prompt %d has %d values, alone %d", i, len(together[i]), len(alone[0]))
			}
			for j, v := range together[i] {
				if d := math.Abs(float64(v - alone[0][from+j])); d > 1e-5*(1+math.Abs(float64(v))) {
					t.Fatalf("shared %d, prompt %d, value %d: %v together, %v alone", shared, i, j, v, alone[0][from+j])
				}
			}
		}
	}
}

// A coder without weights is named, and the others are measured.
func TestEvalGoesOnPastUnfinishedCoders(t *testing.T) {
	run, dir := small(t), t.TempDir()
	wantOKHere(t, "train", "tokenizer", "--from", run, "--site", "fc2", "--layers", "1,3", "--out", dir,
		"--set", "steps=2", "--set", "codes=8", "--set", "batch=64", "--set", "init_rows=64")
	if err := os.Remove(filepath.Join(dir, "fc2_1", "coder.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"eval"}, {"eval", "--json"}} {
		code, out, errs := actfleet(t, append(command, dir, "--from", run)...)
		if code != exitError || !strings.Contains(out, "fc2_3") || !strings.Contains(errs, "fc2_1") || !strings.Contains(errs, "has not ended") {
			t.Errorf("%v: exit code %d\n%s%s", command, code, out, errs)
		}
	}
}
