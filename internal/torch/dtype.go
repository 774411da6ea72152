package torch

import (
	"fmt"
	"strconv"
	"strings"
)

// Dtype is the type of a tensor's elements. The numbers are libtorch's.
type Dtype int32

// The types in use.
const (
	U8   Dtype = 0
	I32  Dtype = 3
	I64  Dtype = 4
	F16  Dtype = 5
	F32  Dtype = 6
	F64  Dtype = 7
	Bool Dtype = 11
	BF16 Dtype = 15
)

var dtypes = map[Dtype]struct {
	name string
	size int64
}{
	U8: {"u8", 1}, I32: {"i32", 4}, I64: {"i64", 8}, F16: {"f16", 2}, F32: {"f32", 4}, F64: {"f64", 8}, Bool: {"bool", 1}, BF16: {"bf16", 2},
}

// Size is the number of bytes of an element; 0 for a type this package does not know.
func (d Dtype) Size() int64 { return dtypes[d].size }

// String is the type's short name, for example "f32".
func (d Dtype) String() string {
	if t, ok := dtypes[d]; ok {
		return t.name
	}
	return "dtype " + strconv.Itoa(int(d))
}

// Device is where tensors lie: the CPU, or a CUDA device by its number from 0.
type Device int32

// CPU is the processor's own memory.
const CPU Device = -1

// CUDADevice is the i-th GPU.
func CUDADevice(i int) Device { return Device(i) }

// IsCUDA reports whether d is a GPU.
func (d Device) IsCUDA() bool { return d >= 0 }

// String is "cpu" or "cuda:0".
func (d Device) String() string {
	if d == CPU {
		return "cpu"
	}
	return "cuda:" + strconv.Itoa(int(d))
}

// ParseDevice reads "cpu", "cuda", "cuda:1" or "auto" (the first GPU where there is one, else the CPU). It is an
// error when this machine does not have the device.
func ParseDevice(name string) (Device, error) {
	switch name {
	case "cpu":
		return CPU, nil
	case "auto", "":
		if CUDA() > 0 {
			return 0, nil
		}
		return CPU, nil
	}
	number, ok := strings.CutPrefix(name, "cuda:")
	if name == "cuda" {
		number, ok = "0", true
	}
	i, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil {
		return CPU, fmt.Errorf("device %q: use auto, cpu, cuda or cuda:0", name)
	}
	if n := CUDA(); int(i) >= n {
		return CPU, fmt.Errorf("device %q: %s", name, countCUDA(n))
	}
	return Device(i), nil
}

// countCUDA says how many GPUs there are, and if none, why.
func countCUDA(n int) string {
	if n > 0 {
		return fmt.Sprintf("libtorch can use %d CUDA devices here, from cuda:0 on", n)
	}
	return fmt.Sprintf("libtorch can use no CUDA devices here: %v", NoCUDA())
}
