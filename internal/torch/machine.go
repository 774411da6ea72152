package torch

/*
#include "shim/shim.h"
*/
import "C"

import "sync/atomic"

// threads is the wanted number of threads of an operator; 0 leaves libtorch's choice. libtorch keeps the number
// per OS thread, so Do sets it on the thread it holds.
var threads atomic.Int32

// SetThreads sets with how many threads an operator computes, from the next [Do] on. libtorch's own choice is
// the number of cores. Waiting threads sleep, so several processes share a machine in peace.
func SetThreads(n int) { threads.Store(int32(max(n, 1))) }

// Threads is with how many threads operators compute; 0 when libtorch cannot be opened.
func Threads() (n int) {
	_ = Do(func(*Scope) error { n = int(C.af_threads()); return nil })
	return n
}

// Seed sets libtorch's default generator, which no operator of this package uses; custom ones may.
func Seed(n int64) {
	if load() == nil {
		C.af_seed(C.int64_t(n))
	}
}

// CUDA is the number of CUDA devices that this libtorch can use; 0 too when libtorch cannot be opened.
func CUDA() int {
	if load() != nil {
		return 0
	}
	return int(C.af_cuda())
}

// Version is libtorch's, for example "2.6.0"; empty when it cannot be opened.
func Version() string {
	if load() != nil {
		return ""
	}
	return take(C.af_version())
}

// BLAS names what computes matrix products on the CPU; empty when libtorch cannot be opened.
func BLAS() string {
	if load() != nil {
		return ""
	}
	return take(C.af_blas())
}
