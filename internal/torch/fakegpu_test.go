package torch

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planting names the fault that a run of this test binary commits, and nothing else.
const planting = "ACTFLEET_TEST_FAULT"

// faults are what a program may do wrong with a GPU, and what the GPU for tests then says.
var faults = map[string]struct {
	commit func(s *Scope)
	says   string
}{
	"host read": {func(s *Scope) {
		_ = *(*float32)(dataPointer(s.Ones(F32, 0, 8)))
	}, "the host touched memory of the GPU"},
	"host write": {func(s *Scope) {
		*(*float32)(dataPointer(s.Ones(F32, 0, 8))) = 1
	}, "the host touched memory of the GPU"},
	"use after free": {func(s *Scope) {
		x := s.Keep(s.Ones(F32, 0, 8))
		p := dataPointer(x)
		x.Free()
		for range 100 { // whatever else is made meanwhile
			s.Ones(F32, 0, 8)
		}
		_ = *(*float32)(p)
	}, "after it was freed"},
	"two devices": {func(s *Scope) {
		s.Add(s.Ones(F32, 0, 8), s.Ones(F32, 1, 8))
	}, "Expected all tensors to be on the same device"},
	"host and device": {func(s *Scope) {
		s.Add(s.Ones(F32, 0, 8), s.Ones(F32, CPU, 8))
	}, "Expected all tensors to be on the same device"},
	"early read": {func(s *Scope) {
		to, done := s.Pinned(F32, 8), new(Event)
		s.Fetch(s.NewStream(0), to, s.Ones(F32, 0, 8), done)
		if v := to.Float32s()[3]; math.IsNaN(float64(v)) {
			fail("early read", "NaN")
		}
	}, "early read: NaN"},
	"a buffer sent is written": {func(s *Scope) {
		from, sent := s.Pinned(F32, 8), new(Event)
		s.FillTo(from, 1)
		s.Upload(s.Zeros(F32, 0, 8), from, sent)
		from.Float32s()[3] = 2
		sent.Wait()
	}, "while a copy from it to the device was in flight"},
	"a buffer to be filled is written": {func(s *Scope) {
		to, done := s.Pinned(F32, 8), new(Event)
		s.Fetch(s.NewStream(0), to, s.Ones(F32, 0, 8), done)
		to.Float32s()[3] = 2
		done.Wait()
	}, "while a copy from the device into it was in flight"},
	"a buffer is filled twice": {func(s *Scope) {
		to, done := s.Pinned(F32, 8), new(Event)
		s.Fetch(s.NewStream(0), to, s.Ones(F32, 0, 8), done)
		s.Fetch(s.NewStream(0), to, s.Zeros(F32, 0, 8), done)
	}, "a pinned buffer is used by a copy on stream"},
	"a stream does not wait": {func(s *Scope) {
		x := s.Ones(F32, 0, 8)
		s.NewStream(0).on(func() { copyLater(s.Pinned(F32, 8), x) })
	}, "and has not waited for it"},
	"memory freed under a stream": {func(s *Scope) {
		x, to := s.Keep(s.Ones(F32, 0, 8)), s.Pinned(F32, 8)
		var computed Event
		computed.record(0)
		s.NewStream(0).on(func() {
			computed.block(0)
			copyLater(to, x)
		})
		x.Free()
	}, "memory was freed while stream"},
	"too much memory": {func(s *Scope) {
		s.Zeros(F32, 0, 1<<32)
	}, "CUDA out of memory"},
}

func needFakeGPU(t *testing.T) {
	t.Helper()
	if os.Getenv("ACTFLEET_FAKEGPU") == "" {
		t.Skip("make test-fakegpu runs it")
	}
	if CUDA() == 0 {
		t.Fatalf("the GPU for tests is not there: %v", NoCUDA())
	}
}

// fatal are the faults that end the process.
var fatal = []string{"host read", "host write", "use after free"}

// Those are committed in a process of their own, the others one after another in one more.
func TestFakeGPUCatchesFaults(t *testing.T) {
	needFakeGPU(t)
	if name := os.Getenv(planting); name != "" {
		commit(name)
		return
	}
	var together []string
	for name := range faults {
		if !slices.Contains(fatal, name) {
			together = append(together, name)
		}
	}
	for _, names := range [][]string{{fatal[0]}, {fatal[1]}, {fatal[2]}, together} {
		c := exec.Command(os.Args[0], "-test.run=^TestFakeGPUCatchesFaults$")
		c.Env = append(os.Environ(), planting+"="+strings.Join(names, ","))
		out, _ := c.CombinedOutput()
		for _, name := range names {
			_, said, _ := strings.Cut(string(out), "== "+name+"\n")
			said, _, _ = strings.Cut(said, "== ")
			if !strings.Contains(said, faults[name].says) {
				t.Errorf("%s: it was to say %q, and said\n%s", name, faults[name].says, said)
			}
		}
	}
}

// commit commits faults, and says on stderr which one and what libtorch said.
func commit(names string) {
	for _, name := range strings.Split(names, ",") {
		fmt.Fprintf(os.Stderr, "== %s\n", name)
		err := Do(func(s *Scope) error { faults[name].commit(s); return nil })
		fmt.Fprintln(os.Stderr, err)
	}
}

// The library is found beside libtch.so, without LD_LIBRARY_PATH.
func TestFakeGPUIsFoundBesideLibtch(t *testing.T) {
	needFakeGPU(t)
	at, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, from := range []string{os.Args[0], filepath.Join(at, "libtch.so"), filepath.Join(os.Getenv("LD_LIBRARY_PATH"), "libtorch_cuda.so")} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(from)), data, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(filepath.Join(dir, filepath.Base(os.Args[0])), "-test.v", "-test.run=^TestFakeGPULooksLikeOne$")
	c.Env = withoutLibraryPath()
	out, err := c.CombinedOutput()
	if err != nil && strings.Contains(string(out), "is not there") && !strings.Contains(string(out), "cannot open") {
		t.Skipf("this libtorch has a CUDA of its own, which was found:\n%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What is done right gives no fault, and the right numbers.
func TestFakeGPUStreams(t *testing.T) {
	needFakeGPU(t)
	run(t, func(s *Scope) {
		st, from := s.NewStream(0), s.Pinned(F32, 4)
		copy(from.Float32s(), []float32{1, 2, 3, 4})
		x := s.Zeros(F32, 0, 4)
		var sent Event
		defer sent.Free()
		s.Upload(x, from, &sent)
		to := make([]*Tensor, 3)
		done := make([]Event, len(to))
		for i := range to {
			to[i] = s.Pinned(F32, 4)
			s.Sub(func(s *Scope) *Tensor {
				s.Fetch(st, to[i], s.MulScalar(x, float64(i+1)), &done[i])
				return nil
			})
		}
		sent.Wait()
		clear(from.Float32s())
		for i := range to {
			done[i].Wait()
			f := float32(i + 1)
			if got := to[i].Float32s(); !slices.Equal(got, []float32{f, 2 * f, 3 * f, 4 * f}) {
				t.Errorf("fetch %d: %v", i, got)
			}
			done[i].Free()
		}
	})
}

func TestFakeGPULooksLikeOne(t *testing.T) {
	needFakeGPU(t)
	g, err := LookAt(CUDADevice(CUDA() - 1))
	if err != nil || g.Name != "fakegpu" || g.Capability() != "9.0" || g.Memory != 8<<30 || g.Free > g.Memory {
		t.Errorf("%+v, %v", g, err)
	}
	if runtime, driver := CUDAVersions(); runtime != "13.0" || driver != "13.0" {
		t.Errorf("CUDA %s, driver %s", runtime, driver)
	}
	if d, err := ParseDevice("auto"); err != nil || d != 0 || NoCUDA() != nil {
		t.Errorf("auto is %s, %v; %v", d, err, NoCUDA())
	}
}
