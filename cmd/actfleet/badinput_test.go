package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Every mistake gives one line that says what and where, the right exit code, and leaves nothing.
func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name string
		code int
		says []string
		args func(t *testing.T) []string
	}{
		{"no flags", exitUsage, []string{"--model", "--out"}, func(t *testing.T) []string { return nil }},
		{"unknown flag", exitUsage, []string{"--frobnicate"}, func(t *testing.T) []string { return []string{"--frobnicate"} }},
		{"unknown site", exitUsage, []string{"--sites", "fc9"}, with("--sites", "fc9")},
		{"layer out of range", exitUsage, []string{"--layers", "7"}, with("--layers", "0,7")},
		{"unknown template", exitUsage, []string{"template", "latin"}, with("--template", "latin")},
		{"no model", exitError, []string{"nowhere"}, with("--model", "nowhere")},
		{"unknown model type", exitError, []string{"model_type", "mamba"}, spoiled("config.json", `"phi"`, `"mamba"`)},
		{"config against weights", exitError, []string{"fc1.weight", "config.json"}, spoiled("config.json", `"intermediate_size": 1024`, `"intermediate_size": 1000`)},
		{"unknown pre-tokenizer", exitError, []string{"tokenizer.json", "Whatever"}, spoiled("tokenizer.json", `"type": "ByteLevel"`, `"type": "Whatever"`)},
		{"truncated weights", exitError, []string{"model.safetensors"}, func(t *testing.T) []string {
			dir := copyTiny(t)
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 1<<20); err != nil {
				t.Fatal(err)
			}
			return []string{"--model", dir}
		}},
		{"lying header", exitError, []string{"model.safetensors"}, func(t *testing.T) []string {
			dir := copyTiny(t)
			path := filepath.Join(dir, "model.safetensors")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			binary.LittleEndian.PutUint64(data, 1<<40)
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			return []string{"--model", dir}
		}},
		{"malformed line", exitError, []string{"bad.jsonl", "3"}, data("bad.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\n")},
		{"empty data set", exitError, []string{"empty.jsonl"}, data("empty.jsonl", "")},
		{"empty prompt", exitError, []string{"blank.jsonl", "2", "--empty skip"}, func(t *testing.T) []string {
			return append(data("blank.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\"}\n")(t), "--empty", "refuse")
		}},
		{"nothing but empty prompts", exitError, []string{"no rows", "1 are empty"}, data("blank.jsonl", "{\"text\":\"\"}\n")},
		{"conversations without a template", exitUsage, []string{"messages", "chat template", "--text"}, data("m.jsonl", `{"messages":[{"role":"user","content":"a"}]}`)},
		{"a data set of the hub", exitError, []string{"someone/data", "download"}, func(*testing.T) []string { return []string{"--data", "someone/data"} }},
		{"long prompt", exitError, []string{"long.jsonl:1", "128", "--long skip", "--context"}, data("long.jsonl", fmt.Sprintf("{\"text\":%q}\n", strings.Repeat("one two ", 100)))},
		{"column that is not there", exitUsage, []string{"--drop nothing", "text, label"}, func(t *testing.T) []string {
			return append(data("r.jsonl", "{\"text\":\"a\",\"label\":1}\n")(t), "--drop", "nothing")
		}},
		{"bad secret", exitError, []string{"16, 24 or 32"}, func(t *testing.T) []string {
			return []string{"--bind", "127.0.0.1:0", "--secret-file", write(t, "key", "short\n")}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := c.args(t)
			if args == nil {
				wantRefusalHere(t, c.code, c.says, "collect")
				return
			}
			out := filepath.Join(t.TempDir(), "run")
			wantRefusalHere(t, c.code, c.says, append([]string{"collect", "--model", tinyModel, "--limit", "40", "--out", out}, withData(args)...)...)
			wantNothing(t, out)
		})
	}
}

func with(args ...string) func(*testing.T) []string {
	return func(*testing.T) []string { return args }
}

// withData adds the tiny model's data where no other is given.
func withData(args []string) []string {
	if slices.Contains(args, "--data") {
		return args
	}
	return append([]string{"--data", tinyData}, args...)
}

func data(name, text string) func(*testing.T) []string {
	return func(t *testing.T) []string { return []string{"--data", write(t, name, text)} }
}

func spoiled(file, old, with string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		dir := copyTiny(t)
		edit(t, filepath.Join(dir, file), old, with)
		return []string{"--model", dir}
	}
}

func collectArgs(out string, more ...string) []string {
	return append([]string{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "60", "--out", out}, more...)
}

func TestAnotherPlan(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, collectArgs(out)...)
	wantRefusalHere(t, exitError, []string{"tokens", "last", "all"}, collectArgs(out, "--tokens", "all")...)
	wantOKHere(t, "check", out)
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	out := filepath.Join(t.TempDir(), "run")
	wantRefusal(t, exitError, []string{port}, collectArgs(out, "--bind", addr)...)
	wantNothing(t, out)
}

// A node that has nobody to join says so in one line, works alone (the store makes that safe) and ends well.
func TestJoinNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nobody is there now
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := actfleet(t, collectArgs(out, "--join", addr)...)
	if code != exitDone || strings.Count(stderr, "no other node answers") != 1 || !strings.Contains(stderr, "join="+addr) {
		t.Errorf("exit %d, want 0 and one line that no other node answers at %s:\n%s", code, addr, stderr)
	}
	wantOK(t, "check", out)
}

// mount makes a file system of its own at a directory, or skips.
func mount(t *testing.T, flags uintptr, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	out := filepath.Join(mount(t, 0, "size=3m"), "run")
	wantRefusal(t, exitError, []string{"no space left"}, collectArgs(out, "--tokens", "all")...)
	wantNothing(t, out)
}

func TestReadOnlyDisk(t *testing.T) {
	out := filepath.Join(mount(t, syscall.MS_RDONLY, ""), "run")
	wantRefusal(t, exitError, []string{"read-only", out}, collectArgs(out)...)
}

// A NaN among the weights shows up in the activations, and is named.
func TestNaNWeights(t *testing.T) {
	dir := copyTiny(t)
	poison(t, filepath.Join(dir, "model.safetensors"), "model.layers.2.mlp.fc1.bias")
	out := filepath.Join(t.TempDir(), "run")
	wantRefusalHere(t, exitError, []string{"not finite", "row ", "fc1 of layer 2"}, collectArgs(out, "--model", dir)...)
	wantNothing(t, out)
}

// poison makes the first value of an fp16 tensor a NaN.
func poison(t *testing.T, path, name string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(raw)
	head := map[string]struct {
		Offsets []int `json:"data_offsets"`
	}{}
	dec := json.NewDecoder(bytes.NewReader(raw[8 : 8+size]))
	if err := dec.Decode(&head); err != nil {
		t.Fatal(err)
	}
	at := 8 + int(size) + head[name].Offsets[0]
	binary.LittleEndian.PutUint16(raw[at:], 0x7e00)
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsFound(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, collectArgs(out)...)
	unit := filepath.Join(out, "acts", "unit-000000.parquet")
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(unit, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := actfleet(t, "check", out)
	if code != exitDamage || !strings.Contains(stdout, "unit-000000") {
		t.Errorf("exit %d, said %q", code, stdout)
	}
	if code, _, stderr := actfleet(t, "check", filepath.Join(out, "nowhere")); code != exitError || !strings.Contains(stderr, "no run") {
		t.Errorf("exit %d, said %q", code, stderr)
	}
}

// A text in two splits is found before anything is fitted, and leaves no folder.
func TestLeakLeavesNothing(t *testing.T) {
	var data strings.Builder
	for i := range 12 {
		split := []string{"train", "val", "test"}[i%3]
		fmt.Fprintf(&data, "{\"text\": \"Number %d is even.\", \"label\": %d, \"group\": \"g%d\", \"split\": %q}\n", i/3*(i%2), i%2, i, split)
	}
	dir := t.TempDir()
	run, out := filepath.Join(dir, "run"), filepath.Join(dir, "probes")
	wantOKHere(t, "collect", "--model", tinyModel, "--data", write(t, "data.jsonl", data.String()), "--sites", "resid", "--layers", "3", "--keep-text", "--out", run)
	wantRefusalHere(t, exitError, []string{"splits leak", "texts"}, "train", "probe", "--from", run, "--site", "resid", "--layers", "3", "--out", out)
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", out, err)
	}
}
