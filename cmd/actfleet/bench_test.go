package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

// The limit and the step beside it compute with as many threads as were asked for, in libtorch and in Go.
func TestBenchSAEBoundsBothPools(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	defer parallel.SetThreads(0)
	here(t, "bench", "sae", "--d", "16", "--width", "32", "--k", "2", "--batch", "64", "--rounds", "1", "--threads", "1")
	if n := torch.Threads(); n != 1 {
		t.Errorf("libtorch computes with %d threads, want 1", n)
	}
	var calls atomic.Int32
	parallel.For(1000, 1, func(lo, hi int) { calls.Add(1) })
	if n := calls.Load(); n != 1 {
		t.Errorf("loops run on %d threads, want 1", n)
	}
}

// Every text is encoded, whatever the number of threads, and nothing else is.
func TestBenchTokenize(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	data := filepath.Join(t.TempDir(), "texts.jsonl")
	if err := os.WriteFile(data, []byte("{\"text\":\"one two\"}\n{\"text\":\"\"}\n{\"text\":\"three\",\"n\":1}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	text, err := model.LoadTokenizer(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, exitError, []string{"no text in /dev/null"}, "bench", "tokenize", "--model", tinyModel, "--data", "/dev/null", "--json")
	want := float64(len(text.Encode("one two", true)) + len(text.Encode("", true)) + len(text.Encode("three", true)))
	for _, threads := range []string{"1", "3"} {
		var lines []benchLine
		out := here(t, "bench", "tokenize", "--model", tinyModel, "--data", data, "--rounds", "1", "--threads", threads, "--json")
		if err := json.Unmarshal([]byte(out), &lines); err != nil || len(lines) != 3 || lines[2].Value != want {
			t.Errorf("%s threads: %v, %+v, want %g tokens", threads, err, lines, want)
		}
	}
}
