package sae

import (
	"testing"

	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
)

// In a step on a GPU the host waits once, for the sums; rows come in one copy a micro-batch, with one more for the latents
// that are dead.
func TestFakeGPUStepWaitsOnce(t *testing.T) {
	for _, f := range all() {
		t.Run(f.name, func(t *testing.T) {
			fakegpu.Open(t)
			const d, n, micros = 6, 40, 4
			l := f.exact(t, 1, d)
			l.Use(0, torch.BF16)
			if err := l.Restored(); err != nil {
				t.Fatal(err)
			}
			defer l.Free()
			for step := range 3 {
				fakegpu.Reset()
				for m := range micros {
					give(t, l, drawnRows(uint64(step*micros+m), n, d), n)
				}
				if _, err := l.Step(1e-3); err != nil {
					t.Fatal(err)
				}
				waits, _ := fakegpu.Count("wait")
				back, _ := fakegpu.Count("d2h pageable blocking")
				up, _ := fakegpu.Count("h2d pinned")
				slow, _ := fakegpu.Count("h2d pageable blocking")
				items, _ := fakegpu.Count("item")
				pinned, _ := fakegpu.Count("pinned alloc")
				if waits != 1 || back != 1 || up > micros+1 || slow+items != 0 || step > 0 && pinned != 0 {
					t.Errorf("step %d:\n%s", step, fakegpu.Counts())
				}
			}
		})
	}
}
