package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"actfleet/shard/store/mem"
	"actfleet/trainer/coder"
	"actfleet/trainer/tfevents"
)

// shownIn are the values in a folder's event files as "tag step value", in order.
func shownIn(t *testing.T, dir string) (out []string) {
	t.Helper()
	files, err := tfevents.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		events, err := tfevents.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			for _, v := range e.Values {
				if strings.HasSuffix(v.Tag, "/starved") {
					continue
				}
				out = append(out, fmt.Sprint(v.Tag, e.Step, v.Scalar, v.Histogram))
			}
		}
	}
	return out
}

// What TensorBoard is shown of a training in parts is what it is shown of one that was not
// interrupted; with the folder lost in between it is all but the histograms of before.
func TestBoard(t *testing.T) {
	src := made(t)
	clock := func() time.Time { return time.Unix(1_700_000_000, 0) }
	begin := func(dir string) Job {
		j := job(t, coder.SAE, dir, src)
		j.Host, j.Now = "a/b", clock
		return j
	}
	whole := t.TempDir()
	if _, err := Train(t.Context(), begin(whole)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(whole, "events.out.tfevents.1700000000.a_b")); err != nil {
		t.Error(err)
	}
	want := shownIn(t, whole)
	if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, "eval/log10_density50") }) {
		t.Errorf("no histogram in %v", want)
	}
	for _, lost := range []bool{false, true} {
		j := begin(t.TempDir())
		if lost {
			j.Checkpoints = &Place{Store: mem.New(time.Now)}
		}
		for interrupted(t, []Job{j}, 5) != nil {
			if j.Resume = true; lost {
				j.Dir = t.TempDir()
			} else {
				torn(t, j.Dir)
			}
		}
		got, whole := shownIn(t, j.Dir), want
		if lost {
			histogram := func(s string) bool { return strings.HasPrefix(s, "eval/log10_density") }
			got, whole = slices.DeleteFunc(got, histogram), slices.DeleteFunc(slices.Clone(want), histogram)
		}
		if !slices.Equal(got, whole) {
			t.Errorf("lost %v: shown are\n%s\nwant\n%s", lost, strings.Join(got, "\n"), strings.Join(whole, "\n"))
		}
		j.Resume = true
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if again := shownIn(t, j.Dir); len(again) != len(want) && !lost {
			t.Errorf("going on after the end shows %d values, not %d", len(again), len(want))
		}
	}
}

// torn leaves the newest event file with half an event more, as kill -9 may.
func torn(t *testing.T, dir string) {
	t.Helper()
	files, err := tfevents.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write([]byte{9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestTensorBoardPython reads a resumed training with the package tensorboard: every value of
// metrics.jsonl once. It needs ACTFLEET_PYTHON, a Python with the package.
func TestTensorBoardPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	j := job(t, coder.SAE, t.TempDir(), made(t))
	for interrupted(t, []Job{j}, 5) != nil {
		j.Resume = true
	}
	out, err := exec.Command(python, filepath.Join("testdata", "board.py"), j.Dir).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("%s", out)
	}
	var shown struct {
		Scalars    map[string][][2]float64
		Histograms map[string][][3]any
	}
	if err := errors.Join(err, json.Unmarshal(out, &shown)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines, err := coder.ReadEvents(filepath.Join(j.Dir, coder.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][][2]float64{}
	for _, e := range lines {
		e.Values["tokens"] = float64(e.Rows)
		for name, v := range e.Values {
			tag := e.Split + "/" + name
			want[tag] = append(want[tag], [2]float64{float64(e.Step), float64(float32(v))})
		}
	}
	for _, tag := range []string{"train/starved", "eval/starved"} { // three digits of it are in metrics.jsonl
		delete(shown.Scalars, tag)
	}
	if !maps.EqualFunc(shown.Scalars, want, slices.Equal[[][2]float64]) {
		t.Errorf("TensorBoard reads %v, metrics.jsonl holds %v", shown.Scalars, want)
	}
	if h := shown.Histograms["eval/log10_density"]; len(h) != 3 {
		t.Errorf("histograms %v", h)
	}
}
