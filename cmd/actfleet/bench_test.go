package main

import (
	"runtime"
	"sync/atomic"
	"testing"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

// The limit and the step beside it compute with as many threads as were asked for, in libtorch and in Go.
func TestBenchSAEBoundsBothPools(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	defer parallel.SetThreads(0)
	here(t, "bench", "sae", "--d", "16", "--width", "32", "--k", "2", "--batch", "64", "--rounds", "1", "--threads", "1")
	if n := torch.Threads(); n != 1 {
		t.Errorf("libtorch computes with %d threads, want 1", n)
	}
	var calls atomic.Int32
	parallel.For(1000, 1, func(lo, hi int) { calls.Add(1) })
	if n := calls.Load(); n != 1 {
		t.Errorf("loops run on %d threads, want 1", n)
	}
}
