package parity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/safetensors"
)

const fixture = "gemma2"

// peer is a program in the place of Python, and a temporary directory in which nothing may stay.
func peer(t *testing.T, shell string) string {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	t.Cleanup(func() {
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	path := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+shell+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// recorded lays the fixture's reference out as the script does.
func recorded(t *testing.T, dir string) (prompts [][]int32) {
	t.Helper()
	path := filepath.Join("..", "modeltest", "testdata", fixture, "ref.safetensors")
	ref, err := modeltest.OpenReference(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for p := range ref.Prompts {
		var out []safetensors.Tensor
		for _, info := range f.Tensors() {
			if name, ok := strings.CutPrefix(info.Name, fmt.Sprintf("p%d/", p)); ok && name != "ids" {
				raw, err := f.Bytes(info.Name)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, safetensors.Tensor{Name: name, Dtype: info.Dtype, Shape: info.Shape, Data: raw})
			}
		}
		if err := safetensors.Write(filepath.Join(dir, fmt.Sprintf("p%d.safetensors", p)), out, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "peer.json"), []byte(`{"class":"Recorded","transformers":"5","torch":"2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return ref.Prompts
}

func load(t *testing.T, name string) (*model.Model, string) {
	t.Helper()
	dir := filepath.Join("..", "modeltest", "testdata", name)
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

func TestRun(t *testing.T) {
	from := t.TempDir()
	prompts := recorded(t, from)
	m, dir := load(t, fixture)
	r, err := Run(t.Context(), m, dir, peer(t, `cp `+from+`/* "$3"`), prompts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Worst().FP64 != nil || !r.Equal || len(r.Taps) != 12*m.Info().Layers+2 || r.Peer.Class != "Recorded" || r.Tokens != 27 || r.Worst().Error == 0 || r.Worst().Error > 1e-5 {
		t.Errorf("%+v", r)
	}
}

// One prompt beside the reference of another is not equal, and the cell that is furthest off is named.
func TestRunFindsADifference(t *testing.T) {
	from := t.TempDir()
	prompts := recorded(t, from)
	m, dir := load(t, fixture)
	prompts[2][3] ^= 1
	r, err := Run(t.Context(), m, dir, peer(t, `cp `+from+`/* "$3"`), prompts)
	if err != nil || r.Equal || r.Worst().Error < 0.1 || r.Worst().Prompt != 2 || r.Worst().Name() == "" {
		t.Errorf("%v, %+v", err, r.Worst())
	}
}

// Where ours is further than the tolerance from 32 bits, the reference in 64 bits decides. Ours is the recorded one, up
// to 1e-5; the reference is that times a factor.
func TestRunIsJudgedByFP64(t *testing.T) {
	recording := t.TempDir()
	prompts := recorded(t, recording)
	m, dir := load(t, fixture)
	for _, c := range []struct {
		name          string
		single, exact float32 // the factors
		equal         bool
	}{
		{"ours is exact", 1.001, 1, true},
		{"ours is wrong", 1.001, 1.001, false},
		{"ours is 1.7 times as far", 1.001, 1.0025, true},
		{"ours is 2.4 times as far", 1.001, 1.0017, false}, // though less than twice their rounding from fp32
		{"3 times as far, within the tolerance", 1.00012, 1.00009, true},
		{"5 times as far, above the tolerance", 1.00012, 1.00015, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			single, exact := t.TempDir(), t.TempDir()
			scaled(t, recording, single, c.single)
			scaled(t, recording, exact, c.exact)
			r, err := Run(t.Context(), m, dir, peer(t, `if grep -q '"double":true' "$2"; then cp `+exact+`/* "$3"; else cp `+single+`/* "$3"; fi`), prompts)
			if err != nil {
				t.Fatal(err)
			}
			worst := r.Worst()
			if r.Equal != c.equal || worst.Equal() != c.equal || !worst.Judged() {
				t.Errorf("equal %t, %+v, %+v", r.Equal, worst, worst.FP64)
			}
			ours, theirs := math.Abs(1/float64(c.exact)-1), math.Abs(float64(c.single/c.exact)-1)
			for _, cell := range append(r.Taps, r.Logits) {
				if d := cell.FP64; math.Abs(d.Ours-ours) > 1e-5 || math.Abs(d.Transformers-theirs) > 1e-6 {
					t.Errorf("%s is %+v from fp64, want %.2e and %.2e", cell.Name(), d, ours, theirs)
				}
			}
		})
	}
}

// scaled copies what the script wrote, every value times a factor.
func scaled(t *testing.T, from, to string, factor float32) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(to, "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []safetensors.Tensor
		for _, info := range f.Tensors() {
			values, err := f.Float32s(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			raw := make([]byte, 0, 4*len(values))
			for _, v := range values {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v*factor))
			}
			out = append(out, safetensors.Tensor{Name: info.Name, Dtype: safetensors.F32, Shape: info.Shape, Data: raw})
		}
		if err := errors.Join(f.Close(), safetensors.Write(path, out, nil)); err != nil {
			t.Fatal(err)
		}
	}
}

// What goes wrong on the other side is one line that says what to do.
func TestRunFails(t *testing.T) {
	from := t.TempDir()
	prompts := recorded(t, from)
	m, dir := load(t, fixture)
	for _, c := range []struct {
		name, shell, says string
		want              error
	}{
		{"no torch", `echo warning >&2; echo "missing: torch" >&2; exit 1`, "has no torch; run ", ErrPeer},
		{"traceback", `printf 'Traceback\n  File "x"\nOSError: [Errno 28] No space left on device\n' >&2; exit 1`, "exit status 1: OSError: [Errno 28] No space left", ErrPeer},
		{"killed", `kill -9 $$`, "out of memory", ErrPeer},
		{"writes nothing", `exit 0`, "peer.json", os.ErrNotExist},
		{"a prompt is missing", `cp ` + from + `/* "$3"; rm "$3"/p1.safetensors`, "p1.safetensors", ErrPeer},
		{"other shapes", `cp ` + from + `/* "$3"; cp "$3"/p1.safetensors "$3"/p2.safetensors`, "embed_0 of prompt 2 has shape [2 24], ours [7 24]", ErrPeer},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(t.Context(), m, dir, peer(t, c.shell), prompts)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line of %v that says %q", err, c.want, c.says)
			}
		})
	}
}

func TestInterpreter(t *testing.T) {
	venv := t.TempDir()
	if _, err := Interpreter(venv); !errors.Is(err, ErrPeer) || !strings.Contains(err.Error(), venv) {
		t.Errorf("error %v", err)
	}
	python := filepath.Join(venv, "bin", "python")
	if err := errors.Join(os.Mkdir(filepath.Dir(python), 0o700), os.WriteFile(python, nil, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{venv, python} {
		if got, err := Interpreter(given); err != nil || got != python {
			t.Errorf("Interpreter(%s) = %s, %v", given, got, err)
		}
	}
}

func TestBetween(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		ours, theirs  []float32
		scaled, byRMS float64
	}{
		{[]float32{3, -4}, []float32{3, -4}, 0, 0},
		{[]float32{1, 1.5, -1, 1}, []float32{1, 1, -1, 1}, 0.5, 0.5},
		{[]float32{0, 0, 0, 101}, []float32{0, 0, 0, 100}, 0.01, 0.02},
		{[]float32{0, 1e-9}, []float32{0, 0}, math.MaxFloat64, math.MaxFloat64},
		{[]float32{1, inf}, []float32{1, 1}, math.MaxFloat64, math.MaxFloat64},
		{[]float32{1, nan}, []float32{1, 1}, math.NaN(), math.NaN()},
		{[]float32{1, 1}, []float32{nan, 1}, math.NaN(), math.NaN()},
		{[]float32{1, inf}, []float32{1, inf}, math.NaN(), math.NaN()},
	} {
		got := between(c.ours, c.theirs)
		if fmt.Sprint(got) != fmt.Sprint(distance{c.scaled, c.byRMS}) {
			t.Errorf("between(%v, %v) = %v, want %v and %v", c.ours, c.theirs, got, c.scaled, c.byRMS)
		}
	}
}

func TestPrompts(t *testing.T) {
	got := Prompts(8, 50, 32)
	if !reflect.DeepEqual(got, Prompts(8, 50, 32)) {
		t.Error("other prompts the second time")
	}
	for p, ids := range got {
		if len(ids) != min(lengths[p%len(lengths)], 32) {
			t.Errorf("prompt %d has %d tokens", p, len(ids))
		}
		for _, id := range ids {
			if id < 0 || id >= 50 {
				t.Errorf("prompt %d has id %d", p, id)
			}
		}
	}
}
