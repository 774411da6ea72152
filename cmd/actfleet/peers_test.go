package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/trainer/export"
	"actfleet/trainer/sae"
)

// peerPython names a Python with sae-lens, eai-sparsify and dictionary-learning.
const peerPython = "ACTFLEET_PYTHON"

// readByPeers gives what learners were exported to a folder to the packages of their layouts, which must encode and
// decode as we do. It needs ACTFLEET_PYTHON and skips the packages that Python does not have.
func readByPeers(t *testing.T, dir string) {
	python := os.Getenv(peerPython)
	if python == "" {
		t.Skip(peerPython + " is not set")
	}
	for _, format := range []export.Format{export.SAELens, export.Sparsify, export.DictionaryLearning} {
		args := []string{"../../trainer/export/testdata/peer.py", string(format)}
		for _, l := range learners {
			if l.format == string(format) {
				out := filepath.Join(dir, l.name)
				args = append(args, kindOf(l.name, l.keys), out, checkOf(t, out, format))
			}
		}
		t.Run(string(format), func(t *testing.T) {
			out, err := exec.Command(python, args...).CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == 77 { // the package cannot be imported
				t.Skipf("%s", out)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// kindOf is what peer.py calls a learner.
func kindOf(name, keys string) string {
	arch, _, _ := strings.Cut(strings.TrimPrefix(keys, "arch: "), ",")
	if strings.HasSuffix(name, "transcoder") {
		return name + "_" + arch
	}
	return arch
}

// checkOf writes rows x, their codes f and reconstructions xhat beside a folder.
func checkOf(t *testing.T, dir string, format export.Format) string {
	t.Helper()
	m, err := export.Read(dir, format, false)
	if err != nil {
		t.Fatal(err)
	}
	const n = 64
	r := rand.New(rand.NewPCG(1, 2))
	x, rows := make([]float32, n*m.D), make([]float32, n*m.Row())
	for i := range x {
		x[i] = float32(3 * r.NormFloat64())
		rows[i/m.D*m.Row()+i%m.D] = x[i]
	}
	f, xhat := make([]float32, n*m.M), make([]float32, n*m.Outputs())
	var c sae.Codes
	if err := m.Reconstruct(rows, xhat, n, &c); err != nil {
		t.Fatal(err)
	}
	for b := range n {
		latents, values := c.Row(b)
		for j, i := range latents {
			f[b*m.M+int(i)] = values[j]
		}
	}
	path := dir + ".check.npz"
	if err := os.WriteFile(path, npz(t, n, map[string][]float32{"x": x, "f": f, "xhat": xhat}), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// npz is an archive of arrays of n rows, as numpy reads it.
func npz(t *testing.T, n int, arrays map[string][]float32) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, v := range arrays {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, len(v)/n)
		fmt.Fprintf(w, "\x93NUMPY\x01\x00v\x00%-117s\n", head)
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
