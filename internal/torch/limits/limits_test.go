package limits

import (
	"math"
	"testing"
	"time"

	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
)

// ticks is a clock that goes on by step whenever it is read.
func ticks(step time.Duration) func() time.Time {
	at := time.Unix(0, 0)
	return func() time.Time { at = at.Add(step); return at }
}

// A rate is work over time, of the span in which the clock went on least.
func TestPerSecond(t *testing.T) {
	calls, at := 0, time.Unix(0, 0)
	got, err := perSecond(6, func() time.Time {
		step := 4 * time.Millisecond
		if calls > 4 && calls < 10 { // the second span
			step = 2 * time.Millisecond
		}
		at = at.Add(step)
		return at
	}, func() error { calls++; return nil })
	if err != nil || math.Abs(got-3000) > 1e-9 {
		t.Errorf("%g a second after %d calls, %v; want 3000", got, calls, err)
	}
}

// The operations of a core are counted by what the clock says: a round has ten chains of a vector each.
func TestCore(t *testing.T) {
	unit, flops := Core(ticks(span))
	perRound := flops * span.Seconds() / 100_000
	if lanes := math.Round(perRound/20*1e6) / 1e6; unit == "" || lanes != 4 && lanes != 8 && lanes != 16 {
		t.Errorf("%s: %g operations a round", unit, perRound)
	}
}

// By a clock on which one product of 256 takes a span, it is not tried with larger ones.
func TestProducts(t *testing.T) {
	for _, dtype := range []torch.Dtype{torch.F32, torch.BF16} {
		got, err := Products(torch.CPU, dtype, ticks(span))
		if want := 2 * 256 * 256 * 256 / span.Seconds(); err != nil || math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%s: %g, %v; want %g", dtype, got, err, want)
		}
	}
	if _, err := Products(torch.CUDADevice(99), torch.F32, ticks(span)); err == nil {
		t.Error("a device that is not there was measured")
	}
}

func TestFakeGPULimits(t *testing.T) {
	fakegpu.Open(t)
	d := torch.CUDADevice(1)
	toHost, toDevice, err := Copies(d, ticks(span))
	if want := copied / span.Seconds(); err != nil || math.Abs(toHost/want-1) > 1e-9 || math.Abs(toDevice/want-1) > 1e-9 {
		t.Errorf("%g and %g, %v; want %g", toHost, toDevice, err, want)
	}
	if n, _ := fakegpu.Count("d2h pinned"); n != 1+spans {
		t.Errorf("%d copies to pinned memory, want one a span and one before:\n%s", n, fakegpu.Counts())
	}
	if _, err := Products(d, torch.BF16, ticks(span)); err != nil {
		t.Error(err)
	}
	fakegpu.Limit(1 << 20)
	if _, _, err := Copies(d, ticks(span)); !torch.OutOfMemory(err) {
		t.Errorf("with too little memory: %v", err)
	}
}
