package dashboard

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"actfleet/trainer/sae"
)

// two prompts, of which latent 1 is active on both and latent 0 on one token.
func twoPrompts() *Set {
	s := &Set{Latents: make([]Latent, 3)}
	s.prompt([]seen{{token: "a", latents: []int32{1}, values: []float32{1}}, {token: " b", latents: []int32{1, 0}, values: []float32{3, 2}}, {token: "."}})
	s.prompt([]seen{{token: "c", latents: []int32{1}, values: []float32{5}}})
	return s
}

func TestExamplesComeByFallingValue(t *testing.T) {
	s := twoPrompts()
	l := s.Latents[1]
	if s.Rows != 4 || s.Prompts != 2 || l.Fires != 3 || len(l.Examples) != 2 || l.Examples[0].Max != 5 || l.Examples[1].Max != 3 {
		t.Fatalf("%+v", s)
	}
	if e := l.Examples[1]; !slices.Equal(e.Tokens, []string{"a", " b", "."}) || !slices.Equal(e.At, []int{0, 1}) || !slices.Equal(e.Values, []float32{1, 3}) {
		t.Errorf("%+v", e)
	}
	for i := range 100 {
		s.Latents[2].keep(Example{Max: float32(i * 37 % 101)})
	}
	if e := s.Latents[2].Examples; len(e) != maxExamples || !slices.IsSortedFunc(e, func(a, b Example) int { return int(b.Max - a.Max) }) || e[0].Max != 100 {
		t.Errorf("%d examples from %v", len(e), e[0].Max)
	}
}

// objects are the lines of a packed file.
func objects(t *testing.T, path string) (out []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(z); s.Scan(); {
		var o map[string]any
		if err := json.Unmarshal(s.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// The folder has the files and the keys that Neuronpedia's importer reads.
func TestNeuronpediasFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	m := sae.NewModel(sae.Weights{D: 2, M: 3, WEnc: make([]float32, 6), BEnc: make([]float32, 3), WDec: []float32{1, 2, 3, 4, 5, 6}, BDec: make([]float32, 2)})
	a := About{Model: "toy", Layer: 4, Name: "resid-3", Hook: "blocks.4.hook_resid_post", Data: "texts", Context: 3, Now: time.Unix(0, 0).UTC()}
	if err := Write(dir, twoPrompts(), m, a); err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"", ".", "..", "a/b", "/a"} {
		bad := a
		bad.Model = model
		if err := Write(filepath.Join(dir, "x"), twoPrompts(), m, bad); err == nil {
			t.Errorf("a folder for the model %q was written", model)
		}
	}
	at := filepath.Join(dir, "toy", "4-resid-3")
	for _, name := range []string{"release", "model", "sourceset", "source"} {
		text, err := os.ReadFile(filepath.Join(at, name+".jsonl"))
		var o map[string]any
		if err != nil || json.Unmarshal(text, &o) != nil || o["creatorId"] == "" || o["createdAt"] != "1970-01-01T00:00:00Z" {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	features := objects(t, filepath.Join(at, "features", "batch-0.jsonl.gz"))
	if len(features) != 3 || features[1]["index"] != "1" || features[1]["frac_nonzero"] != 0.75 || features[1]["maxActApprox"] != 5. ||
		features[1]["hookName"] != "blocks.4.hook_resid_post" || features[1]["layer"] != "4-resid-3" || features[1]["vector"].([]any)[0] != 3. {
		t.Errorf("%v", features)
	}
	acts := objects(t, filepath.Join(at, "activations", "batch-0.jsonl.gz"))
	if len(acts) != 3 || acts[2]["index"] != "1" || acts[2]["maxValueTokenIndex"] != 1. || len(acts[2]["values"].([]any)) != 3 || len(acts[2]["id"].(string)) != 25 {
		t.Errorf("%v", acts)
	}
}
