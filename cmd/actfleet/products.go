package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"actfleet/internal/torch"
	"actfleet/internal/torch/limits"
)

// productsFound is how fast the CPU multiplies matrices, in doctor's findings; rates are floating-point operations a second.
type productsFound struct {
	Unit   string  `json:"unit"`            // the widest vector unit
	Core   float64 `json:"core_flops"`      // what one core's unit does in its registers
	One    float64 `json:"one_core_flops"`  // fp32 products on one core
	All    float64 `json:"all_cores_flops"` // on all of them
	Cores  int     `json:"cores"`
	BF16   float64 `json:"bf16_one_core_flops"`      // bf16 products on one core; 0: not measured
	Native string  `json:"bf16_native,omitempty"`    // what the processor has for bf16 products: avx512_bf16, amx_bf16
	Used   bool    `json:"bf16_native_used"`         // by this libtorch
	Share  float64 `json:"one_core_share_of_a_core"` // One / Core
}

// A BLAS in order reaches 0.8 of a core's multiply-adds and more; nativeGain is what units for bf16 give at least where
// they are used.
const (
	poorShare  = 0.5
	nativeGain = 1.5
)

// measureProducts measures the processor and the BLAS, one after the other.
func measureProducts(now func() time.Time) (p productsFound, err error) {
	defer torch.SetThreads(torch.Threads())
	p.Cores = runtime.NumCPU()
	p.Unit, p.Core = limits.Core(now)
	torch.SetThreads(p.Cores)
	if p.All, err = limits.Products(torch.CPU, torch.F32, now); err != nil {
		return p, err
	}
	torch.SetThreads(1)
	if p.One, err = limits.Products(torch.CPU, torch.F32, now); err != nil {
		return p, err
	}
	p.Share = p.One / p.Core
	if p.Native = nativeBF16(); p.Native != "" {
		p.BF16, err = limits.Products(torch.CPU, torch.BF16, now)
		p.Used = p.BF16 > nativeGain*p.One
	}
	return p, err
}

// nativeBF16 is the processor's units for bf16 products.
func nativeBF16() string {
	var have []string
	if cpu.X86.HasAVX512BF16 {
		have = append(have, "avx512_bf16")
	}
	if cpu.X86.HasAMXBF16 {
		have = append(have, "amx_bf16")
	}
	return strings.Join(have, " ")
}

func (p productsFound) String() string {
	const giga = 1e9
	text := fmt.Sprintf("fp32 %.3g GFLOP/s on one core, %.2f of the %.3g its %s unit does; %.3g on %d", p.One/giga, p.Share, p.Core/giga, p.Unit, p.All/giga, p.Cores)
	switch {
	case p.Native == "":
		return text
	case p.Used:
		return fmt.Sprintf("%s; bf16 %.3g, by %s", text, p.BF16/giga, p.Native)
	}
	return fmt.Sprintf("%s; bf16 %.3g: this libtorch does not use the processor's %s", text, p.BF16/giga, p.Native)
}

// advice is what to do about slow products; empty where they are not slow.
func (p productsFound) advice() string {
	if p.Share >= poorShare {
		return ""
	}
	return "the matrix library leaves most of a core unused, or other programs use the cores (look at top): install a current OpenBLAS " +
		"(apt-get install libopenblas0-pthread) or PyTorch's wheel (PYTHON=VENV/bin/python), and run scripts/setup.sh again"
}

// lookProducts never fails: slow products give the same numbers later.
func lookProducts(now func() time.Time) finding {
	f := finding{What: "products", OK: true}
	if torch.Load() != nil {
		f.Found = "not measured: no libtorch"
		return f
	}
	p, err := measureProducts(now)
	if err != nil {
		f.Found = err.Error()
		return f
	}
	f.Found, f.Advice, f.Products = p.String(), p.advice(), &p
	return f
}
