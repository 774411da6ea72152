package torch

/*
#include "shim/shim.h"
*/
import "C"

import (
	"runtime"
	"sync/atomic"
)

// threads is with how many threads an operator computes. libtorch keeps the number per OS thread, and starts with 1
// or with the number of cores depending on what else is loaded, so Do sets it on the thread it holds.
var threads atomic.Int32

func init() { threads.Store(int32(runtime.NumCPU())) }

// SetThreads sets with how many threads an operator computes, from the next [Do] on; at first the number of cores
// this process may use. Waiting threads sleep, so several processes share a machine in peace.
func SetThreads(n int) { threads.Store(int32(max(n, 1))) }

// Threads is with how many threads operators compute.
func Threads() int { return int(threads.Load()) }

// Seed sets libtorch's default generator, which no operator of this package uses; custom ones may.
func Seed(n int64) {
	if load() == nil {
		C.af_seed(C.int64_t(n))
	}
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
