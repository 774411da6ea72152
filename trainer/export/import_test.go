package export

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/internal/array"
	"actfleet/trainer/export/npy"
)

// What each package saves itself is read as the function it computes. It needs ACTFLEET_PYTHON and
// skips the packages that Python does not have.
func TestImportsPeers(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skip(pythonEnv + " is not set")
	}
	for _, f := range []Format{SAELens, Sparsify, DictionaryLearning} {
		t.Run(string(f), func(t *testing.T) {
			dir := t.TempDir()
			out, err := exec.Command(python, filepath.Join("testdata", "peer_write.py"), string(f), dir).CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == notThere {
				t.Skipf("%s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checks, err := filepath.Glob(filepath.Join(dir, "*.npz"))
			if err != nil || len(checks) == 0 {
				t.Fatal(err, "no model was written")
			}
			for _, check := range checks {
				imported(t, strings.TrimSuffix(check, ".npz"), f, check)
			}
		})
	}
}

func imported(t *testing.T, dir string, want Format, check string) {
	t.Helper()
	format, err := Detect(dir)
	if err != nil || format != want {
		t.Fatalf("%s looks like %s: %v", dir, format, err)
	}
	m, err := Read(dir, format, false)
	if err != nil {
		t.Error(err)
		return
	}
	a, err := npy.Load(check)
	if err != nil {
		t.Fatal(err)
	}
	x, f, wantX := floats(t, a["x"]), floats(t, a["f"]), floats(t, a["xhat"])
	n := a["x"].Shape[0]
	codes, xhat := dense(t, m, x, n)
	if d := apart(codes, f); d > 1e-3 {
		t.Errorf("%s: codes differ by %g", dir, d)
	}
	if d := apart(xhat, wantX); d > 5e-3 {
		t.Errorf("%s: reconstructions differ by %g", dir, d)
	}
}

func floats(t *testing.T, a array.Array) []float32 {
	t.Helper()
	v, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
