package export

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"actfleet/internal/array"
	"actfleet/trainer/export/npy"
)

const pythonEnv = "ACTFLEET_PYTHON"

// notThere is the exit status of a script whose package cannot be imported.
const notThere = 77

// TestPlainPython computes every layout's function with torch, safetensors and numpy alone; it needs
// ACTFLEET_PYTHON, a Python with the three.
func TestPlainPython(t *testing.T) {
	eachExport(t, "plain.py", []Format{SAELens, Sparsify, DictionaryLearning, OpenAI, NPZ})
}

// TestPeers gives every layout to the package it is meant for: sae-lens, eai-sparsify,
// dictionary-learning. It needs ACTFLEET_PYTHON and skips those that Python does not have.
func TestPeers(t *testing.T) {
	eachExport(t, "peer.py", []Format{SAELens, Sparsify, DictionaryLearning})
}

func eachExport(t *testing.T, script string, formats []Format) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skip(pythonEnv + " is not set")
	}
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) {
			args := []string{filepath.Join("testdata", script), string(f)}
			for _, arch := range holds[f] {
				dir, check := exported(t, f, arch)
				args = append(args, arch, dir, check)
			}
			out, err := exec.Command(python, args...).CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == notThere {
				t.Skipf("%s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// exported is a folder with a model of width 24 over vectors of 10, and what it must compute.
func exported(t *testing.T, f Format, arch string) (dir, check string) {
	t.Helper()
	const d, width, n = 10, 24, 50
	m := randomModel(11, d, width, arch)
	x := rows(3, n, d)
	codes, xhat := dense(t, m, x, n)
	dir, check = filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "check.npz")
	if err := Write(dir, f, m, origin); err != nil {
		t.Fatal(err)
	}
	list := []array.Array{array.Of("x", []int{n, d}, x), array.Of("f", []int{n, width}, codes), array.Of("xhat", []int{n, m.Outputs()}, xhat)}
	if err := npy.Save(check, list); err != nil {
		t.Fatal(err)
	}
	return dir, check
}
