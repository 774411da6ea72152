package parallel

import (
	"cmp"
	"runtime"
	"sync"
	"sync/atomic"

	"actfleet/internal/torch"
)

var threads atomic.Int32

// SetThreads bounds how many threads compute, since a training step uses both pools in turn: how many calls of a
// loop's body run at once, and with how many threads an operator of libtorch computes. 0, at first, is as many as
// there are cores.
func SetThreads(n int) {
	threads.Store(int32(n))
	torch.SetThreads(cmp.Or(n, runtime.NumCPU()))
}

// For calls f on disjoint ranges that cover [0, n), each at least grain long but
// for the last, and returns when all have.
func For(n, grain int, f func(lo, hi int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+grain-1)/grain)
	if t := int(threads.Load()); t > 0 {
		workers = min(workers, t)
	}
	if workers <= 1 {
		if n > 0 {
			f(0, n)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { f(w*n/workers, (w+1)*n/workers) })
	}
	wg.Wait()
}

// chunk is the number of terms of Sum that one call of f adds.
const chunk = 1 << 15

// Sum adds f over chunks of [0, n) in float64, in order, so that the result does
// not depend on the number of cores.
func Sum(n int, f func(lo, hi int) float64) float64 {
	parts := make([]float64, (n+chunk-1)/chunk)
	For(len(parts), 1, func(lo, hi int) {
		for c := lo; c < hi; c++ {
			parts[c] = f(c*chunk, min(n, (c+1)*chunk))
		}
	})
	var sum float64
	for _, p := range parts {
		sum += p
	}
	return sum
}
