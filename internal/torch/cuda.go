package torch

/*
#include "shim/shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
)

// GPU is a CUDA device that this libtorch can use.
type GPU struct {
	Device          Device
	Name            string // the driver's, for example "NVIDIA H200"; "unknown" where it does not say
	Memory, Free    int64  // bytes
	Major, Minor    int    // compute capability
	Multiprocessors int
}

// Capability is the compute capability, for example "9.0".
func (g GPU) Capability() string { return fmt.Sprintf("%d.%d", g.Major, g.Minor) }

// CUDA is the number of CUDA devices that this libtorch can use; 0 too when libtorch cannot be opened.
func CUDA() int {
	if load() != nil {
		return 0
	}
	return int(C.af_cuda())
}

// NoCUDA says why CUDA() is 0, in the words of the loader, of libtorch or of the driver; nil where it is not.
func NoCUDA() error {
	if err := load(); err != nil {
		return err
	}
	if why := C.af_cuda_why(); why != nil {
		return errors.New(oneLine(take(why)))
	}
	return nil
}

// CUDAVersions are the version of CUDA's runtime that libtorch brings, and the newest one that the driver supports,
// for example "12.6" and "13.0"; empty where they are not known.
func CUDAVersions() (runtime, driver string) {
	if load() != nil {
		return "", ""
	}
	var r, d C.int
	C.af_cuda_versions(&r, &d)
	text := func(v C.int) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	return text(r), text(d)
}

// AllowTF32 says whether GPUs may compute products of F32 tensors with their operands rounded to TF32 (10 bits after the
// point, fp32's range), in this process; at first they may not. CPUs take no notice.
func AllowTF32(on bool) {
	if load() == nil {
		C.af_cuda_tf32(flag(on))
	}
}

// LookAt describes a CUDA device, with the memory that is free now.
func LookAt(d Device) (GPU, error) {
	if n := CUDA(); !d.IsCUDA() || int(d) >= n {
		return GPU{}, fmt.Errorf("look at %s: there are %d CUDA devices", d, n)
	}
	var name *C.char
	var out [5]C.int64_t
	if msg := C.af_cuda_device(C.int(d), &name, &out[0]); msg != nil {
		return GPU{}, fmt.Errorf("look at %s: %s", d, oneLine(take(msg)))
	}
	return GPU{Device: d, Name: take(name), Memory: int64(out[0]), Free: int64(out[1]), Major: int(out[2]), Minor: int(out[3]),
		Multiprocessors: int(out[4])}, nil
}
