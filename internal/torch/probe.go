package torch

/*
#include "shim/shim.h"
*/
import "C"

import "unsafe"

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

// dataPointer is where t's elements lie, for a tensor of any device.
func dataPointer(t *Tensor) (p unsafe.Pointer) {
	check("dataPointer", C.af_data(t.raw("dataPointer"), &p))
	return p
}

// copyLater begins a copy on the current stream and neither waits for the other stream's work nor keeps src.
func copyLater(dst, src *Tensor) {
	check("copyLater", C.af_copy_later(dst.raw("copyLater"), src.raw("copyLater")))
}
