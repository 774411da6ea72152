package trainer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/measure"
	"actfleet/trainer/state"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// poisoned writes a copy of a coder's folder in which the last value of an array is v.
func poisoned(t *testing.T, dir, array string, v float64) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, coder.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []safetensors.Tensor
	for _, info := range f.Tensors() {
		data, err := f.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Clone(data)
		switch n := len(data); {
		case info.Name != array:
		case info.Dtype == safetensors.F64:
			binary.LittleEndian.PutUint64(data[n-8:], math.Float64bits(v))
		default:
			binary.LittleEndian.PutUint32(data[n-4:], math.Float32bits(float32(v)))
		}
		all = append(all, safetensors.Tensor{Name: info.Name, Dtype: info.Dtype, Shape: info.Shape, Data: data})
	}
	if err := safetensors.Write(filepath.Join(out, coder.WeightsFile), all, f.Metadata()); err != nil {
		t.Fatal(err)
	}
	return out
}

// arraysOf names the arrays of a coder.
func arraysOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, coder.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, info := range f.Tensors() {
		names = append(names, info.Name)
	}
	return names
}

// wantNonFinite says that an error names an array as not finite.
func wantNonFinite(t *testing.T, what, array string, err error) {
	t.Helper()
	if !errors.Is(err, state.ErrNonFinite) || !strings.Contains(err.Error(), fmt.Sprintf("%q", array)) {
		t.Errorf("%s with array %s that is not finite: %v", what, array, err)
	}
}

// A coder with one value that is not finite, in whatever array, is refused with the array's name by all that use it.
func TestCodersThatAreNotFiniteAreRefused(t *testing.T) {
	src := made(t)
	kinds := []string{coder.SAE, coder.VQ}
	for family := range families {
		kinds = append(kinds, family)
	}
	for _, a := range vq.Archs {
		kinds = append(kinds, string(a))
	}
	for _, kind := range kinds {
		j := archJob(t, kind, filepath.Join(t.TempDir(), "coder"), src)
		j.Recipe.Loop.Steps = 2
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for i, array := range arraysOf(t, j.Dir) {
			dir := poisoned(t, j.Dir, array, []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[i%3])
			_, _, err := measure.Evaluate(t.Context(), dir, []stream.Source{src}, measure.EvalOptions{Rows: 10})
			wantNonFinite(t, kind+": evaluate", array, err)
			_, err = codes.Encode(t.Context(), dir, src, nil)
			wantNonFinite(t, kind+": encode", array, err)
		}
	}
}

func TestProbesThatAreNotFiniteAreRefused(t *testing.T) {
	whole, _ := lostRun(t)
	j := lostProbes(filepath.Join(t.TempDir(), "probes"), whole)
	if _, _, err := FitProbes(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	for _, array := range arraysOf(t, j.Dir) {
		_, err := codes.Encode(t.Context(), poisoned(t, j.Dir, array, math.NaN()), whole, nil)
		wantNonFinite(t, "encode", array, err)
	}
}

// On rows that do not vary the metrics that need it are there, as no numbers, and the reason beside them.
func TestMetricsOfRowsThatDoNotVary(t *testing.T) {
	j := job(t, coder.SAE, filepath.Join(t.TempDir(), "coder"), still(t, func(j int) bool { return j%4 == 1 }))
	j.Recipe.Loop.Steps = 2
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	constant := still(t, func(int) bool { return true })
	e, _, err := measure.Evaluate(t.Context(), j.Dir, []stream.Source{constant}, measure.EvalOptions{All: true})
	if v, there := e.Metrics["fvu"]; err != nil || !there || v-v == 0 || !strings.Contains(e.Notes["fvu"], "do not vary") {
		t.Errorf("fvu %v, %v, %v, %v", v, there, e.Notes, err)
	}
	if err := coder.SaveEvaluation(j.Dir, e); err != nil {
		t.Error(err)
	}
}
