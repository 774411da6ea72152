package collector

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
	"actfleet/shard/store/mem"
)

// What is left of a run is counted exactly; how long it takes is what the clock says of every batch.
func TestPredict(t *testing.T) {
	in := prompts(200)
	cfg := config(t, mem.New(time.Now), modeltest.NewFake(), ask(t, "all"), in)
	at := time.Unix(0, 0)
	cfg.Lanes, cfg.Now = func() int { return 1 }, func() time.Time { at = at.Add(10 * time.Millisecond); return at }
	for name, c := range map[string]struct {
		done                 []bool
		units, prompts, rest int // rest: the first prompt from which all others are left
	}{
		"a new run":  {nil, 4, 200, 0},
		"a part":     {[]bool{true, true, true, false}, 1, 80, 120},
		"everything": {[]bool{true, true, true, true}, 0, 0, 200},
	} {
		e, err := Predict(t.Context(), cfg, c.done)
		if err != nil {
			t.Fatal(err)
		}
		var tokens int64
		for _, ids := range in.IDs[c.rest:] {
			tokens += int64(len(ids))
		}
		if e.Units != c.units || e.Done != 4-c.units || e.Prompts != c.prompts || e.Tokens != tokens || e.Rows != tokens || e.Bytes != tokens*rowBytes(cfg.Plan.Vectors) {
			t.Errorf("%s: %+v", name, e)
		}
		if c.units == 0 {
			continue
		}
		if e.Positions < e.Tokens || e.Products <= 0 || e.Longest <= 0 || e.Longest > 1 || e.Memory <= int64(e.Blocks)*e.BlockBytes {
			t.Errorf("%s: %+v", name, e)
		}
		if e.Lanes != 1 || e.Bare <= 0 || math.Abs(e.Tapped/e.Bare-1) > 1e-9 {
			t.Errorf("%s: %g s a position bare and %g with taps, by a clock on which every batch takes as long", name, e.Bare, e.Tapped)
		}
	}
}

// A sample begins in the middle, has no batch twice, and reaches both ends.
func TestSample(t *testing.T) {
	for n := 1; n < 40; n++ {
		work := make([]batch, n)
		for i := range work {
			work[i].steps = i
		}
		some, seen := sample(work), map[int]bool{}
		for _, b := range some {
			seen[b.steps] = true
		}
		if len(some) != min(n, len(sampled)) || len(seen) != len(some) || some[0].steps != n/2 || !seen[0] || !seen[n*7/8] {
			t.Errorf("of %d: %v", n, seen)
		}
	}
}

// A bare pass on a GPU is over when the GPU is done, not when it has been told what to do: every batch waits.
func TestFakeGPUBareWaits(t *testing.T) {
	fakegpu.Open(t)
	m, err := model.LoadCopies(filepath.Join("model", "modeltest", "testdata", "phi-a"), []model.Target{{Devices: []torch.Device{0}}})
	if err != nil {
		t.Fatal(err)
	}
	in, a := prompts(200), ask(t, "last")
	for _, ids := range in.IDs {
		for i := range ids {
			ids[i] %= 90 // the fixture's vocabulary has 97
		}
	}
	a.Layers = []int{0, 1}
	cfg := config(t, mem.New(time.Now), m, a, in)
	us, err := newUnits(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, work, err := us.left(nil)
	if err != nil {
		t.Fatal(err)
	}
	fakegpu.Reset()
	if err := Bare(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if waits, _ := fakegpu.Count("wait"); len(work) < 4 || int(waits) < len(work) {
		t.Errorf("%d waits in %d batches:\n%s", waits, len(work), fakegpu.Counts())
	}
}
