package collector

import (
	"testing"
	"time"

	"actfleet/collector/model/modeltest"
	"actfleet/shard/store/mem"
)

func TestAUnitSaysHowFarItIs(t *testing.T) {
	cfg := config(t, mem.New(time.Now), modeltest.NewFake(), ask(t, "all"), prompts(200))
	last := map[int]Progress{}
	batches := 0
	cfg.Observe = func(e Event) {
		if e.Event != "progress" {
			return
		}
		batches++
		was, is := last[*e.Unit], *e.Progress
		if is.Prompts != was.Prompts+is.Batch || is.Batch < 1 || is.Part <= was.Part {
			t.Errorf("unit %d: %+v after %+v", *e.Unit, is, was)
		}
		last[*e.Unit] = is
	}
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for u := range cfg.Plan.NumUnits() {
		lo, hi := cfg.Plan.UnitRange(u)
		if p := last[u]; p.Prompts != int(hi-lo) || p.Of != p.Prompts || p.Part != 1 {
			t.Errorf("unit %d of %d prompts ended with %+v", u, hi-lo, p)
		}
	}
	if batches <= cfg.Plan.NumUnits() {
		t.Errorf("%d batches of %d units were spoken of", batches, cfg.Plan.NumUnits())
	}
}
