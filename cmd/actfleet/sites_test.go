package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"actfleet/internal/torch"
)

// From the command line: every site of a model whose blocks lack one and have two pairs of equal ones, and of a model
// that norms what it adds. SQL sees the residual stream add up under either's names; training takes both names.
func TestEverySite(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "ids.jsonl")
	rows := strings.Repeat(`{"input_ids": [3, 7, 20, 11, 5]}`+"\n"+`{"input_ids": [9, 4, 30]}`+"\n", 20)
	if err := os.WriteFile(data, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	const added = `with d as (select unnest(list_transform(range(1, len(resid_1) + 1), lambda i: abs(resid_1[i] - resid_0[i] - attn_out_1[i] - mlp_out_1[i]))) as d from acts)
		select count(*) || ' ' || (max(d) < 1e-5) from d`
	for name, says := range map[string][]string{
		"phi-a":  {"resid_mid is left out: phi-a (phi)", "mlp_in is attn_in", "mlp_out is fc2"},
		"gemma2": {},
	} {
		model, run := "../../collector/model/modeltest/testdata/"+name, filepath.Join(t.TempDir(), name)
		code, _, stderr := actfleet(t, "collect", "--model", model, "--data", data, "--out", run, "--sites", "every", "--tokens", "all", "--dtype", "f32")
		if code != exitDone {
			t.Fatal(stderr)
		}
		for _, text := range says {
			if strings.Count(stderr, text) != 1 {
				t.Errorf("%s: want %q once in %s", name, text, stderr)
			}
		}
		if out := wantOK(t, "sql", run, added); !strings.Contains(out, " true") {
			t.Errorf("%s: %s", name, out)
		}
		wantOK(t, "check", run)
		wantOK(t, "train", "sae", "--from", run, "--sites", "mlp_in", "--layers", "1", "--out", filepath.Join(t.TempDir(), "coder"),
			"--set", "target=mlp_out_1", "--set", "steps=3", "--set", "width=16", "--set", "k=4", "--set", "batch=32")
		for format, header := range map[string]string{"csv": "row,mlp_out_1,fc2_1\n", "jsonl": `"fc2_1":`, "arrow": "mlp_out_1"} {
			if out := wantOK(t, "cat", run, "--columns", "row,mlp_out_1,fc2_1", "--format", format); !strings.Contains(out, header) {
				t.Errorf("%s: cat --format %s lacks %s", name, format, header)
			}
		}
	}
	phi, none := "../../collector/model/modeltest/testdata/phi-a", filepath.Join(t.TempDir(), "none")
	wantRefusal(t, exitError, []string{"phi-a (phi) has no resid_mid"}, "collect", "--model", phi, "--data", data, "--out", none, "--sites", "resid_mid")
	wantRefusal(t, exitUsage, []string{"hook_nothing", "mlp_in", "docs/sites.md"}, "collect", "--model", phi, "--data", data, "--out", none, "--sites", "hook_nothing")
	wantRefusal(t, exitUsage, []string{"resid_9", "layers 0 to 2"}, "collect", "--model", phi, "--data", data, "--out", none, "--sites", "resid_9")
	if _, err := os.Stat(none); err == nil {
		t.Error("a refused command left a run behind")
	}
}

// A whole list says at which layers of a mixture of experts a site is not.
func TestSitesOfSomeLayers(t *testing.T) {
	data, model := filepath.Join(t.TempDir(), "ids.jsonl"), "../../collector/model/modeltest/testdata/deepseek-v2"
	if err := os.WriteFile(data, []byte(`{"input_ids": [3, 7, 20, 11, 5]}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := actfleet(t, "collect", "--model", model, "--data", data, "--out", filepath.Join(t.TempDir(), "run"))
	if code != exitDone || strings.Count(stderr, "fc1 is left out at layer 1: deepseek-v2 (deepseek_v2)") != 1 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// The experts of each token are whole numbers in every way out of a run, and nothing to train on.
func TestExperts(t *testing.T) {
	t.Parallel()
	dir, model := t.TempDir(), "../../collector/model/modeltest/testdata/mixtral"
	data, run := filepath.Join(dir, "ids.jsonl"), filepath.Join(dir, "run")
	if err := os.WriteFile(data, []byte(strings.Repeat(`{"input_ids": [3, 7, 20, 11, 5]}`+"\n", 30)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOK(t, "collect", "--model", model, "--data", data, "--out", run, "--sites", "experts,router,resid", "--layers", "1", "--tokens", "all")
	wantOK(t, "check", run)
	const best = `select typeof(any_value(experts_1)) || ' ' || count(*) from acts
		where len(experts_1) = 2 and experts_1[1] = list_position(router_1, list_max(router_1)) - 1 and experts_1[2] between 0 and 4`
	if out := wantOK(t, "sql", run, best); !strings.Contains(out, "INTEGER[] 150") {
		t.Error(out)
	}
	first := strings.SplitN(wantOK(t, "cat", run, "--columns", "row,pos,experts_1", "--format", "jsonl"), "\n", 2)[0]
	if !regexp.MustCompile(`"experts_1":\[[0-4],[0-4]\]`).MatchString(first) {
		t.Error(first)
	}
	wantOK(t, "cat", run, "--columns", "row,pos,experts_1", "--format", "arrow")
	train := []string{"train", "sae", "--from", run, "--out", filepath.Join(dir, "coder"), "--set", "steps=3", "--set", "width=16", "--set", "k=4", "--set", "batch=32"}
	wantRefusal(t, exitUsage, []string{"experts_1", "numbers of experts"}, append(train, "--sites", "experts,resid")...)
	wantRefusal(t, exitError, []string{"experts_1", "numbers"}, append(train, "--sites", "resid", "--set", "target=experts_1")...)
	wantOK(t, append(train, "--sites", "every")...)
}

// A device or a precision that is not to be had is a mistake in the flags, and what to say instead is said.
func TestDevicesThatAreNotThere(t *testing.T) {
	args := []string{"collect", "--model", tinyModel, "--data", tinyModel + "/statements.jsonl", "--limit", "2", "--out"}
	if torch.NoCUDA() != nil {
		for _, device := range []string{"cuda", "cuda:0+cuda:1"} {
			wantRefusal(t, exitUsage, []string{"--device " + device + ":", "say --device cpu", "docs/gpu.md"}, append(args, filepath.Join(t.TempDir(), "run"), "--device", device)...)
		}
	}
	code, _, stderr := actfleet(t, append(args, filepath.Join(t.TempDir(), "run"), "--device", "cpu", "--compute", "f16")...)
	if code != exitDone && (code != exitUsage || !strings.Contains(stderr, "--compute f16") || !strings.Contains(stderr, "use f32 or bf16")) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
