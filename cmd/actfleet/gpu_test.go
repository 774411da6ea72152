package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A GPU that is there and not used is spoken of; one that is not there is not.
func TestUnusedGPU(t *testing.T) {
	why := errors.New("libtorch_cuda.so: cannot open shared object file: No such file or directory")
	if note := unusedGPU("", why); note != "" {
		t.Error(note)
	}
	note := unusedGPU("/dev/nvidia0", why)
	if strings.Contains(note, "\n") || !strings.Contains(note, "/dev/nvidia0") || !strings.Contains(note, why.Error()) {
		t.Error(note)
	}
}

func TestNVIDIASign(t *testing.T) {
	old := nvidiaSigns
	defer func() { nvidiaSigns = old }()
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	nvidiaSigns = []string{filepath.Join(dir, "nvidia0"), filepath.Join(dir, "dxg")}
	if sign := nvidiaSign(); sign != "" {
		t.Errorf("an empty machine shows %s", sign)
	}
	smi := filepath.Join(dir, "nvidia-smi")
	for _, path := range []string{smi, nvidiaSigns[1], nvidiaSigns[0]} {
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if sign := nvidiaSign(); sign != path {
			t.Errorf("sign %q, want %q", sign, path)
		}
	}
}

// What the loader, CUDA and the driver say, and what a user should do about it.
func TestGPUAdvice(t *testing.T) {
	for why, do := range map[string]string{
		"libtorch_cuda.so: cannot open shared object file: No such file or directory":       "PYTHON=",
		"libcudnn.so.9: cannot open shared object file: No such file or directory":          "not --no-deps",
		"libcuda.so.1: cannot open shared object file: No such file or directory":           "--gpus all",
		"/x/libtorch_cuda.so: undefined symbol: cublasGemmEx":                               "LD_LIBRARY_PATH",
		"CUDA driver version is insufficient for CUDA runtime version (35)":                 "too old",
		"no CUDA-capable device is detected (100)":                                          "CUDA_VISIBLE_DEVICES",
		"the driver shows no device":                                                        "CUDA_VISIBLE_DEVICES",
		"driver version is insufficient (35); libcuda.so.1: cannot open shared object file": "--gpus all",
		"something else": "nvidia-smi",
	} {
		f := noGPU("/dev/nvidia0", errors.New(why))
		if f.OK || !strings.Contains(f.Found, why) || !strings.Contains(f.Advice, do) {
			t.Errorf("%s: %+v, want advice with %q", why, f, do)
		}
		if f := noGPU("", errors.New(why)); !f.OK || f.Advice != "" || !strings.Contains(f.Found, why) {
			t.Errorf("without a GPU: %+v", f)
		}
	}
}
