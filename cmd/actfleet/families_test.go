package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model/gguf/gguftest"
)

// letters and merges make a byte-level BPE small enough for the vocabulary of every fixture: 37 tokens, for
// text of lower case, spaces and full stops.
const letters = "Ġ.abcdefghijklmnopqrstuvwxyz"

var merges = []string{"n o", "Ġ no", "y e", "ye s", "Ġ yes", "h e", "Ġ t", "Ġt he", "i s"}

func vocabulary() (tokens []string) {
	tokens = strings.Split(letters, "")
	for _, m := range merges {
		tokens = append(tokens, strings.ReplaceAll(m, " ", ""))
	}
	return tokens
}

// tinyTokenizer is the text of a tokenizer.json.
func tinyTokenizer(t *testing.T) []byte {
	t.Helper()
	vocab := map[string]int{}
	for id, token := range vocabulary() {
		vocab[token] = id
	}
	text, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": []any{}, "model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}, "decoder": map[string]any{"type": "ByteLevel"}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tinyGGUF is a Llama of two layers with the same tokenizer.
func tinyGGUF() []byte {
	const hidden, inner = 8, 12
	tokens := vocabulary()
	f := gguftest.File{Meta: map[string]any{"general.architecture": "llama", "llama.embedding_length": hidden, "llama.feed_forward_length": inner,
		"llama.block_count": 2, "llama.attention.head_count": 2, "llama.context_length": 64, "llama.attention.layer_norm_rms_epsilon": 1e-5,
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokens,
		"tokenizer.ggml.merges": merges, "tokenizer.ggml.token_type": slices.Repeat([]int32{1}, len(tokens))}}
	add := func(name string, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(math.Sin(float64(i*i+len(f.Tensors))) / 2)
		}
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: name + ".weight", Shape: shape, Values: values})
	}
	add("token_embd", int64(len(tokens)), hidden)
	add("output_norm", hidden)
	for i := range 2 {
		at := fmt.Sprintf("blk.%d.", i)
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			add(at+name, hidden, hidden)
		}
		add(at+"ffn_gate", inner, hidden)
		add(at+"ffn_up", inner, hidden)
		add(at+"ffn_down", hidden, inner)
		add(at+"attn_norm", hidden)
		add(at+"ffn_norm", hidden)
	}
	return f.Bytes()
}

// here runs a command in this process and returns what it prints.
func here(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("actfleet %s: %v", strings.Join(args, " "), err)
	}
	return out.String()
}

// Every family's fixture, sharded and 16-bit ones among them, and a GGUF file: collect, check and cat as a user
// types them.
func TestEveryFamilyFromTheCommandLine(t *testing.T) {
	const fixtures = "../../collector/model/modeltest/testdata"
	dirs, err := os.ReadDir(fixtures)
	if err != nil || len(dirs) < 17 {
		t.Fatal(len(dirs), err)
	}
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixtures, d.Name()))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tinyTokenizer(t), 0o600); err != nil {
				t.Fatal(err)
			}
			collectCheckCat(t, dir)
		})
	}
	t.Run("gguf", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tiny.gguf")
		if err := os.WriteFile(path, tinyGGUF(), 0o600); err != nil {
			t.Fatal(err)
		}
		collectCheckCat(t, path)
	})
}

func collectCheckCat(t *testing.T, model string) {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	data := write(t, "prompts.jsonl", "{\"text\":\"is the sun hot\",\"label\":1}\n{\"text\":\"no.\",\"label\":0}\n{\"text\":\"the the yes\",\"label\":1}\n")
	here(t, "collect", "--model", model, "--data", data, "--out", run, "--tokens", "all", "--choices", "no,yes", "--threads", "1")
	if said := here(t, "check", run); !strings.Contains(said, "each exactly once") {
		t.Errorf("check says %q", said)
	}
	var last struct {
		Row, Pos, Label int
		Token           string
		PNo             float64   `json:"p_no"`
		PYes            float64   `json:"p_yes"`
		Resid           []float64 `json:"resid_1"`
	}
	rows := 0
	for _, line := range strings.Split(strings.TrimSpace(here(t, "cat", run, "--columns", "row,pos,label,token,p_no,p_yes,Wqkv_0,fc2_1,resid_1", "--format", "jsonl")), "\n") {
		decode(t, line, &last)
		if len(last.Resid) == 0 || math.Abs(last.PNo+last.PYes-1) > 1e-5 {
			t.Fatalf("row %s", line)
		}
		rows++
	}
	// is| the| |s|u|n| |h|o|t, no|., t|he| the| yes
	if rows != 10+2+4 {
		t.Errorf("%d rows, want 16", rows)
	}
}
