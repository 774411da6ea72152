package forecast

import (
	"math"
	"strings"
	"testing"
)

// slow is a machine where the model decides, with a run of ten units.
var (
	slow = Machine{Bare: 1e-3, Tapped: 1.5e-3, Flops: 4e9, Write: 1e6}
	ten  = Run{Tokens: 8000, Positions: 10_000, Bytes: 2e6, Columns: 4, Units: 10, Longest: .15, Products: 8e9}
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }

// Taps come on top of the model, writing goes on beside them, and the ceilings are tokens of the data.
func TestForecast(t *testing.T) {
	f := Of(ten, slow)
	if !near(f.Seconds, 15) || !near(f.Tokens, 8000/15.) || f.Bottleneck != Model || !near(f.LongestUnitSeconds, 2.25) {
		t.Errorf("%+v", f)
	}
	for i, want := range []Stage{{Model, 10, false}, {Taps, 5, false}, {Disk, 2, true}} {
		if got := f.Stages[i]; got.Name != want.Name || !near(got.Seconds, want.Seconds) || got.Beside != want.Beside {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for i, want := range []Ceiling{{"matrix products", 4000}, {"writing", 4000}} {
		if got := f.Ceilings[i]; got.Of != want.Of || !near(got.Tokens, want.Tokens) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A fleet takes whole units, waits for the longest, and shares a disk.
func TestFleets(t *testing.T) {
	for _, c := range []struct {
		nodes int
		want  float64
	}{{2, 7.5}, {3, 6}, {10, 2.25}} {
		if got := fleet(ten, slow, c.nodes); !near(got, c.want) {
			t.Errorf("%d nodes take %g, want %g", c.nodes, got, c.want)
		}
	}
	onDisk, bucket := ten, ten
	onDisk.Bytes, bucket.Bytes, bucket.Bucket = 30e6, 30e6, true
	if a, b := fleet(onDisk, slow, 3), fleet(bucket, slow, 3); !near(a, 30) || !near(b, 12) {
		t.Errorf("three nodes take %g with one disk and %g with a bucket, want 30 and 12", a, b)
	}
	if f := Of(ten, slow); len(f.Fleets) != 3 || f.Fleets[2].Nodes != 10 {
		t.Errorf("%+v", f.Fleets)
	}
	one := ten
	one.Units, one.Longest = 1, 1
	if f := Of(one, slow); len(f.Fleets) != 0 {
		t.Errorf("of one unit: %+v", f.Fleets)
	}
}

// What is advised depends on what bounds the run, and its saving is what the same arithmetic gives for the changed run.
func TestChange(t *testing.T) {
	edit := func(f func(r *Run, m *Machine)) (Run, Machine) {
		r, m := ten, slow
		f(&r, &m)
		return r, m
	}
	for name, c := range map[string]struct {
		edit       func(r *Run, m *Machine)
		bottleneck string
		do         string
		saves      float64
	}{
		"a node":           {func(*Run, *Machine) {}, Model, "another node", 7.5},
		"one unit":         {func(r *Run, _ *Machine) { r.Units, r.Longest = 1, 1 }, Model, "--unit-prompts", 0},
		"fp32 on a GPU":    {func(r *Run, _ *Machine) { r.GPU, r.Exact = true, true }, Model, "--compute bf16", 0},
		"bf16 on a GPU":    {func(r *Run, _ *Machine) { r.GPU = true }, Model, "another node", 7.5},
		"fp32 on the CPU":  {func(r *Run, _ *Machine) { r.Exact = true }, Model, "another node", 7.5},
		"taps":             {func(r *Run, m *Machine) { m.Tapped, r.Units, r.Longest = 4e-3, 1, 1 }, Taps, "fewer taps", 7.5},
		"disk":             {func(r *Run, _ *Machine) { r.Bytes = 40e6 }, Disk, "fewer taps", 10},
		"fp32 on a disk":   {func(r *Run, _ *Machine) { r.Bytes, r.F32 = 40e6, true }, Disk, "--dtype f16", 20},
		"one column":       {func(r *Run, _ *Machine) { r.Bytes, r.Columns, r.EveryToken = 40e6, 1, true }, Disk, "--tokens last", 0},
		"nothing left":     {func(r *Run, _ *Machine) { r.Bytes, r.Columns = 40e6, 1 }, Disk, "faster place", 0},
		"a bucket":         {func(r *Run, _ *Machine) { r.Bytes, r.Bucket = 40e6, true }, Upload, "another node", 20},
		"writing unknown":  {func(r *Run, m *Machine) { m.Write = 0 }, Model, "another node", 7.5},
		"taps for nothing": {func(r *Run, m *Machine) { m.Tapped = m.Bare / 2 }, Model, "another node", 5},
	} {
		f := Of(edit(c.edit))
		if f.Bottleneck != c.bottleneck || !strings.Contains(f.Change.Do, c.do) || !near(f.Change.Saves, c.saves) {
			t.Errorf("%s: %s bounds it, %+v; want %s, %q, %g s", name, f.Bottleneck, f.Change, c.bottleneck, c.do, c.saves)
		}
	}
}
