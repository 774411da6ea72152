package trainer

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// withSinks is a run of sparse sums whose first tokens, and one of prompt 7, are two hundred times as long.
func withSinks(t testing.TB) stream.Source {
	r := shardtest.Run{Tokens: "all", Units: 4, Rows: make([]shardtest.Row, 600), Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F32}},
		Fill: func(_ int, row int64, pos int32, dst []float32) {
			for a := range 2 {
				i := (int(row)*int(row) + int(pos)*13 + a*5*int(row%7)) % 24
				for j := range dst {
					dst[j] += float32(math.Sin(float64(i*width+j)*1.7)) * (1 + 0.3*float32(a))
				}
			}
			if pos == 0 || row == 7 && pos == 2 {
				for j := range dst {
					dst[j] = 200 * float32(math.Sin(float64(j))) * (1 + float32(row%5)/20)
				}
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 2 + i%9, Group: string(rune('a' + i%50)), Split: "train"}
	}
	return source(t, r)
}

// Attention sinks neither decide what is learned nor hide in the numbers, which stand beside those of all rows.
func TestSinksDoNotDecide(t *testing.T) {
	src := withSinks(t)
	results := map[string]Result{}
	for _, way := range []string{stream.DropSinks, stream.ClipSinks, stream.KeepSinks} {
		j := job(t, coder.SAE, filepath.Join(t.TempDir(), way), src)
		j.Recipe.Data.Sinks, j.Recipe.Loop.Steps, j.Recipe.Data.HoldoutBy = way, 150, "row"
		var told []string
		j.Notice = func(text string) { told = append(told, text) }
		res, err := Train(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || !strings.Contains(told[0], "position 0") || !strings.Contains(told[0], "sinks="+way) {
			t.Errorf("%s: told %q", way, told)
		}
		if n := res.Card.Norms; len(n) != 1 || n[0].Limit <= 0 || n[0].Median > 10 {
			t.Errorf("%s: norms %+v", way, n)
		}
		if res.Sinks < 500 || res.Sinks > 600 || res.Eval["sinks"] < 10 || res.Seen <= res.Sinks {
			t.Errorf("%s: %d sinks of %d rows, %v held out", way, res.Sinks, res.Seen, res.Eval["sinks"])
		}
		results[way] = res

		e, _, err := measure.Evaluate(t.Context(), j.Dir, j.Runs, measure.EvalOptions{Rows: 300})
		if err != nil || math.Abs(e.Metrics["fvu"]-res.Eval["fvu"]) > 1e-6 || math.Abs(e.Metrics["fvu_all"]-res.Eval["fvu_all"]) > 1e-6 {
			t.Errorf("%s: evaluated %v, trained %v: %v", way, e.Metrics, res.Eval, err)
		}
	}
	drop, keep := results[stream.DropSinks].Eval, results[stream.KeepSinks].Eval
	if !(drop["fvu"] < 0.5) || !(drop["fvu"] < keep["fvu"]) || !(results[stream.ClipSinks].Eval["fvu"] < keep["fvu"]) {
		t.Errorf("fvu of ordinary rows: %v dropped, %v clipped, %v kept", drop["fvu"], results[stream.ClipSinks].Eval["fvu"], keep["fvu"])
	}
	if !(keep["fvu_all"] < keep["fvu"]) {
		t.Errorf("kept: fvu %v, of all rows %v", keep["fvu"], keep["fvu_all"])
	}
}

// Where no row is a sink, nothing is another for having looked.
func TestWithoutSinksNothingChanges(t *testing.T) {
	src := made(t)
	var want string
	for _, way := range []string{"", stream.DropSinks, stream.ClipSinks, stream.KeepSinks} {
		j := job(t, coder.SAE, filepath.Join(t.TempDir(), "sae"), src)
		j.Recipe.Loop.Steps = 20
		if way != "" {
			j.Recipe.Data.Sinks = way
		}
		res, err := Train(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := coder.HashFile(filepath.Join(j.Dir, coder.WeightsFile))
		if want == "" {
			want = sum
		}
		if err != nil || sum != want || res.Sinks != 0 || res.Eval["fvu"] != res.Eval["fvu_all"] {
			t.Errorf("%s: weights %.8s, want %.8s, %d sinks, %v: %v", way, sum, want, res.Sinks, res.Eval, err)
		}
	}
}

// A training that is interrupted finds the same sinks again.
func TestSinksOverAnInterruption(t *testing.T) {
	whole := job(t, coder.SAE, filepath.Join(t.TempDir(), "whole"), withSinks(t))
	whole.Recipe.Loop.Steps, whole.Recipe.Data.HoldoutBy = 40, "row"
	want, err := Train(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	parts := whole
	parts.Dir = filepath.Join(t.TempDir(), "parts")
	if err := interrupted(t, []Job{parts}, 4); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	parts.Resume = true
	got, err := Train(t.Context(), parts)
	if err != nil || got.Sinks != want.Sinks || got.Seen != want.Seen || !reflect.DeepEqual(got.Card.Norms, want.Card.Norms) || !reflect.DeepEqual(got.Eval, want.Eval) {
		t.Errorf("%d of %d sinks, want %d of %d: %v", got.Sinks, got.Seen, want.Sinks, want.Seen, err)
	}
	sums := map[string]bool{}
	for _, dir := range []string{whole.Dir, parts.Dir} {
		sum, err := coder.HashFile(filepath.Join(dir, coder.WeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		sums[sum] = true
	}
	if len(sums) != 1 {
		t.Error("other weights")
	}
}

// Several ranks leave out the same rows as one.
func TestSinksOverRanks(t *testing.T) {
	src := withSinks(t)
	make := func(dir string) Job {
		j := short(t, src)(dir)
		j.Recipe.Data.HoldoutBy = "row"
		return j
	}
	one, dir := t.TempDir(), t.TempDir()
	if _, err := Train(t.Context(), make(one)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(together(t, 2, make, dir)...); err != nil {
		t.Fatal(err)
	}
	sameCurve(t, events(t, dir), events(t, one))
}

// A threshold for all latents lets k of them through after a training of sixty steps, on rows it never saw.
func TestThresholdIsFitted(t *testing.T) {
	src := made(t)
	for _, arch := range []string{"batchtopk", "matryoshka"} {
		res, err := Train(t.Context(), archJob(t, arch, filepath.Join(t.TempDir(), arch), src))
		if err != nil || math.Abs(res.Eval["l0"]-3) > 0.15 {
			t.Errorf("%s: l0 %v, want about 3: %v", arch, res.Eval["l0"], err)
		}
	}
}

// A coder from before sinks were looked for kept them.
func TestFormerCoderKeptSinks(t *testing.T) {
	r := recipe.Default(coder.SAE)
	dir := t.TempDir()
	if err := coder.WriteCard(dir, r.Card("fc2_3", nil, []int{width}, "")); err != nil {
		t.Fatal(err)
	}
	c, err := coder.ReadCard(dir)
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Config, "sinks")
	if old, err := recipe.Of(c); err != nil || old.Data.Sinks != stream.KeepSinks {
		t.Errorf("%q, %v", old.Data.Sinks, err)
	}
	now := r.Card("fc2_3", nil, []int{width}, "")
	if diff := now.Difference(recipe.Renamed(c)); len(diff) != 1 || !strings.Contains(diff[0], "sinks: drop here, keep in the folder") {
		t.Errorf("%q", diff)
	}
}
