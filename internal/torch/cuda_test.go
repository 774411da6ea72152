package torch

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// searching makes a run of this test binary look for CUDA and nothing else.
const searching = "ACTFLEET_TEST_SEARCH"

// The loader must look for libtorch_cuda.so where libtch.so says, beside libtorch and beside itself: a wheel's lies in
// no folder of the system. What it looks at is what it says under LD_DEBUG.
func TestCUDAIsSearchedBesideLibtorch(t *testing.T) {
	if os.Getenv(searching) != "" {
		CUDA()
		return
	}
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestCUDAIsSearchedBesideLibtorch$")
	c.Env = append(withoutLibraryPath(), searching+"=1", "LD_DEBUG=libs")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, search, found := strings.Cut(string(out), "find library=libtorch_cuda.so")
	if !found {
		t.Skip("this loader does not say where it searches")
	}
	search, _, _ = strings.Cut(search, "find library=")
	if at := "(RUNPATH from file " + filepath.Join(dir, "libtch.so") + ")"; !strings.Contains(search, at) {
		t.Errorf("the search did not follow the RUNPATH of libtch.so; it was\n%s", search)
	}
}

func withoutLibraryPath() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "LD_LIBRARY_PATH=") })
}

func TestNoCUDA(t *testing.T) {
	n, why := CUDA(), NoCUDA()
	if (n == 0) != (why != nil) {
		t.Errorf("%d CUDA devices, and %v", n, why)
	}
	if why != nil && strings.Contains(why.Error(), "\n") {
		t.Errorf("the reason has several lines: %q", why)
	}
	if _, err := LookAt(CUDADevice(n)); err == nil || !strings.Contains(err.Error(), CUDADevice(n).String()) {
		t.Errorf("looked at a device that is not there: %v", err)
	}
	if _, err := LookAt(CPU); err == nil {
		t.Error("the CPU is no CUDA device")
	}
	for i := range n {
		if g, err := LookAt(CUDADevice(i)); err != nil || g.Memory <= 0 || g.Free > g.Memory {
			t.Errorf("%+v, %v", g, err)
		}
	}
}
