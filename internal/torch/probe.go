package torch

/*
#include "shim/shim.h"
*/
import "C"

// What this package's tests and benchmarks ask of the C side; cgo does not reach into test files.

// threadsHere is how many threads libtorch uses on this OS thread.
func threadsHere() int { return int(C.af_threads()) }

// loopAdd adds a and b n times without Go in between.
func loopAdd(a, b *Tensor, n int) {
	check("loopAdd", C.af_loop_add(a.raw("loopAdd"), b.raw("loopAdd"), C.int64_t(n)))
}

// setFastPack chooses the packing path and returns the old choice.
func setFastPack(on bool) (was bool) {
	was = fastPack != 0
	fastPack = flag(on)
	return was
}
