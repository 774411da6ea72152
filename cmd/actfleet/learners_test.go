package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/internal/safetensors"
)

// learners are all families on tiny vectors: the keys of a learner, the layout that carries it bit by bit ("" for
// tokenizers, which no layout holds) and the target that import must be told of a transcoder.
var learners = []struct{ name, keys, format, target string }{
	{"topk", "arch: topk", "sparsify", ""},
	{"multitopk", "arch: multitopk", "saelens", ""},
	{"batchtopk", "arch: batchtopk", "dictionary_learning", ""},
	{"matryoshka", "arch: matryoshka, sampled: true, groups: 3", "saelens", ""},
	{"relu", "arch: relu, sparsity: p_anneal", "openai", ""},
	{"hoyer", "arch: relu, sparsity: group_hoyer, resample_steps: 4", "dictionary_learning", ""},
	{"relu_april", "arch: relu_april, optimizer: signsgd, cooldown: 0", "saelens", ""},
	{"gated", "arch: gated, ema: 0.9", "dictionary_learning", ""},
	{"jumprelu", "arch: jumprelu, optimizer: adafactor", "saelens", ""},
	{"jumprelu_tanh", "arch: jumprelu_tanh", "saelens", ""},
	{"transcoder", "arch: topk, target: fc2_3", "sparsify", "fc2_3"},
	{"skip_transcoder", "arch: jumprelu, target: fc2_3, skip: true", "saelens", "fc2_3"},
	{"crosscoder", "arch: relu_april, beside: [fc2_3, resid_3]", "npz", ""},
	{"ema", "arch: ema", "", ""},
	{"gradient", "arch: gradient", "", ""},
	{"residual", "arch: residual, ids: 2", "", ""},
	{"product", "arch: product, ids: 2", "", ""},
	{"iris", "arch: iris, ids: 2, hidden: 16, code_width: 4", "", ""},
	{"fsq", "arch: fsq, levels: [3, 3], ids: 2, hidden: 16", "", ""},
}

// sweepOf is the configuration that trains all of them.
func sweepOf(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("common: {steps: 16, batch: 256, checkpoint_steps: 2, eval_steps: 16, init_rows: 512}\nlearners:\n")
	for _, l := range learners {
		kind := "kind: sae, width: 48, k: 4, "
		if l.format == "" {
			kind = "kind: tokenizer, codes: 16, "
		}
		fmt.Fprintf(&b, "  - {%s%s, name: %s}\n", kind, strings.Replace(l.keys, "codes: 16, arch: fsq", "arch: fsq", 1), l.name)
	}
	return write(t, "sweep.yaml", b.String())
}

// Every family trains from the command line, goes on after kill -9 with the weights of a training that was never
// interrupted, and comes back from a layout of another program as it was.
func TestEveryLearner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	run, sweep := collected(t, "--limit", "120", "--tokens", "all", "--sites", "fc2,resid", "--layers", "2,3"), sweepOf(t)
	train := func(out string) []string {
		return []string{"train", "-f", sweep, "--from", run, "--site", "resid", "--layers", "2", "--threads", "1", "--out", out}
	}
	wantOK(t, train(in("whole"))...)
	p := start(t, train(in("cut"))...)
	untilExists(t, in("cut", "*", "checkpoints", "*"))
	p.stop(t)
	if ended, _ := filepath.Glob(in("cut", "*", "coder.safetensors")); len(ended) == len(learners) {
		t.Log("the training was over before it was killed")
	}
	wantOK(t, append(train(in("cut")), "--resume")...)

	for _, l := range learners {
		t.Run(l.name, func(t *testing.T) {
			coder := "resid_2-" + l.name
			if weights(t, in("whole"), coder) != weights(t, in("cut"), coder) {
				t.Error("other weights than the uninterrupted training's")
			}
			if l.format == "" {
				return
			}
			out, back := in("out", l.name), in("back", l.name)
			wantOKHere(t, "export", in("whole", coder), "--format", l.format, "--out", out)
			wantOKHere(t, "import", out, "--out", back, "--column", "resid_2", "--target", l.target)
			sameArrays(t, filepath.Join(back, "coder.safetensors"), in("whole", coder, "coder.safetensors"))
		})
	}
	t.Run("peers", func(t *testing.T) { readByPeers(t, in("out")) })
}

// sameArrays compares two files of weights; what npz folds into a bias is rounded once.
func sameArrays(t *testing.T, path, wantPath string) {
	t.Helper()
	got, want := arraysOf(t, path), arraysOf(t, wantPath)
	for name, w := range want {
		for i, v := range w {
			if len(got[name]) != len(w) || math.Abs(float64(got[name][i]-v)) > 1e-5*max(1, math.Abs(float64(v))) {
				t.Fatalf("%s: %s came back other than it was", path, name)
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d arrays, want %d", path, len(got), len(want))
	}
}

func arraysOf(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // read only
	out := map[string][]float32{}
	for _, a := range f.Tensors() {
		v, err := f.Float32s(a.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[a.Name] = append([]float32(nil), v...)
	}
	return out
}
