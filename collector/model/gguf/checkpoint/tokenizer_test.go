package checkpoint

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"actfleet/collector/model/bpe"
	"actfleet/collector/model/gguf"
	"actfleet/collector/model/gguf/gguftest"
)

// hf is a tokenizer.json of package bpe's reference.
type hf struct {
	Model struct {
		Vocab  map[string]int
		Merges [][2]string
	}
	Added []struct {
		ID      int
		Content string
		Special bool
	} `json:"added_tokens"`
}

func unzip(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "bpe", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func reference(t *testing.T, name string) (h hf) {
	t.Helper()
	if err := json.NewDecoder(unzip(t, name+".tokenizer.json.gz")).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

type text struct {
	Text string  `json:"t"`
	IDs  []int32 `json:"sp"`
}

func texts(t *testing.T, name string) (out []text) {
	t.Helper()
	lines := bufio.NewScanner(unzip(t, name+".cases.jsonl.gz"))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one text
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// meta is the tokenizer part of a GGUF file for a reference.
func (h hf) meta() map[string]any {
	tokens, types := make([]string, len(h.Model.Vocab)), make([]int32, len(h.Model.Vocab))
	for token, id := range h.Model.Vocab {
		tokens[id], types[id] = token, 1
	}
	for _, a := range h.Added {
		for a.ID >= len(tokens) {
			tokens, types = append(tokens, ""), append(types, 4)
		}
		tokens[a.ID], types[a.ID] = a.Content, 4
		if a.Special {
			types[a.ID] = tokenControl
		}
	}
	return map[string]any{"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
}

// tokenizer reads the vocabulary of a GGUF file with this metadata.
func tokenizer(t *testing.T, meta map[string]any) (*bpe.BPE, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, (gguftest.File{Meta: meta}).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := (&Checkpoint{file: f}).Tokenizer()
	if err != nil {
		return nil, err
	}
	return bpe.Parse(out)
}

// TestByteLevel compares with the ids of Hugging Face's tokenizers.
func TestByteLevel(t *testing.T) {
	for name, pre := range map[string]string{"llama3": "llama-bpe", "qwen2": "qwen2"} {
		h := reference(t, name)
		meta := h.meta()
		var merges []string
		for _, m := range h.Model.Merges {
			merges = append(merges, m[0]+" "+m[1])
		}
		meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"], meta["tokenizer.ggml.merges"] = "gpt2", pre, merges
		for _, a := range h.Added {
			if a.Content == "<|begin_of_text|>" {
				meta["tokenizer.ggml.bos_token_id"] = a.ID
			}
		}
		b, err := tokenizer(t, meta)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range texts(t, name) {
			if got := b.Encode(one.Text, true); !slices.Equal(got, one.IDs) {
				t.Fatalf("%s: %q: %v, want %v", name, one.Text, got, one.IDs)
			}
		}
	}
}

// pieces is llama2's vocabulary as SentencePiece has it: earlier merges score higher.
func pieces(t *testing.T) (meta map[string]any, scores map[string]float32) {
	h := reference(t, "llama2")
	h.Added = h.Added[:3] // the unknown token, the beginning and the end
	meta, scores = h.meta(), map[string]float32{}
	for rank, m := range slices.Backward(h.Model.Merges) {
		scores[m[0]+m[1]] = -float32(rank)
	}
	types, tokens := meta["tokenizer.ggml.token_type"].([]int32), meta["tokenizer.ggml.tokens"].([]string)
	types[0] = tokenUnknown
	all := make([]float32, len(tokens))
	for id, token := range tokens {
		if _, ok := scores[token]; !ok {
			scores[token] = -1e6
		}
		all[id] = scores[token]
	}
	meta["tokenizer.ggml.model"], meta["tokenizer.ggml.scores"] = "llama", all
	meta["tokenizer.ggml.bos_token_id"], meta["tokenizer.ggml.eos_token_id"] = 1, 2
	return meta, scores
}

// slowPieces is SentencePiece's BPE by definition: of all neighbours that make a token
// the best score goes first, the leftmost of equals.
func slowPieces(text string, scores map[string]float32) []string {
	parts := strings.Split("▁"+strings.ReplaceAll(text, " ", "▁"), "")
	for {
		best := -1
		for i := range len(parts) - 1 {
			s, ok := scores[parts[i]+parts[i+1]]
			if ok && (best < 0 || s > scores[parts[best]+parts[best+1]]) {
				best = i
			}
		}
		if best < 0 {
			return parts
		}
		parts = slices.Replace(parts, best, best+2, parts[best]+parts[best+1])
	}
}

func TestSentencePiece(t *testing.T) {
	meta, scores := pieces(t)
	b, err := tokenizer(t, meta)
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, one := range texts(t, "llama2") {
		if one.Text == "" || strings.Contains(one.Text, "<") || !utf8.ValidString(one.Text) {
			continue
		}
		want := []int32{1}
		for _, p := range slowPieces(one.Text, scores) {
			if id, ok := b.ID(p); ok {
				want = append(want, id)
				continue
			}
			for i := range len(p) {
				want = append(want, int32(p[i])+3)
			}
		}
		if got := b.Encode(one.Text, true); !slices.Equal(got, want) {
			t.Fatalf("%q: %v, want %v", one.Text, got, want)
		}
		done++
	}
	if done < 800 {
		t.Errorf("only %d texts", done)
	}
	if got := b.Decode(b.Encode("two words", false)); got != "two words" {
		t.Errorf("decoded: %q", got)
	}
}

func TestTokenizerOptions(t *testing.T) {
	meta, _ := pieces(t)
	meta["tokenizer.ggml.add_bos_token"], meta["tokenizer.ggml.add_eos_token"], meta["tokenizer.ggml.add_space_prefix"] = false, true, false
	b, err := tokenizer(t, meta)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Encode("the", true); got[len(got)-1] != 2 || got[0] == 1 || b.Decode(got[:len(got)-1]) != "the" {
		t.Errorf("%v %q", got, b.Decode(got))
	}
}

func TestTokenizerRefuses(t *testing.T) {
	for key, c := range map[string]struct {
		value any
		want  error
		says  string
	}{
		"tokenizer.ggml.model":        {"t5", gguf.ErrUnsupported, `"t5"`},
		"tokenizer.ggml.tokens":       {[]string{"a"}, gguf.ErrCorrupt, "1 tokens"},
		"tokenizer.ggml.scores":       {[]float32{1}, gguf.ErrCorrupt, "scores"},
		"tokenizer.ggml.bos_token_id": {99999, gguf.ErrCorrupt, "bos_token_id"},
	} {
		meta, _ := pieces(t)
		meta[key] = c.value
		if _, err := tokenizer(t, meta); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", key, err)
		}
	}
	meta, _ := pieces(t)
	meta["tokenizer.ggml.tokens"].([]string)[300] = strings.Repeat("x", maxPiece+1)
	if _, err := tokenizer(t, meta); !errors.Is(err, gguf.ErrCorrupt) || !strings.Contains(err.Error(), "token 300") {
		t.Errorf("long token: %v", err)
	}
	meta, _ = pieces(t)
	meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"] = "gpt2", "quartz"
	if _, err := tokenizer(t, meta); !errors.Is(err, gguf.ErrUnsupported) || !strings.Contains(err.Error(), `"quartz"`) {
		t.Errorf("pre: %v", err)
	}
}

// Gemma's runs of spaces are tokens of the user's, whose scores say nothing: they come about before any other
// merge, as transformers has it for the Gemma 3 270M file.
func TestRunsOfSpaces(t *testing.T) {
	b, err := tokenizer(t, map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.add_space_prefix": false, "tokenizer.ggml.bos_token_id": 0,
		"tokenizer.ggml.tokens":     []string{"<bos>", "  ", "   ", "▁", "a", "b", "▁b", "\n"},
		"tokenizer.ggml.token_type": []int32{tokenControl, tokenUser, tokenUser, 1, 1, 1, 1, tokenUser},
		"tokenizer.ggml.scores":     []float32{-1000, -1000, -1000, -3, -4, -5, -1, -1000}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{"a b": {0, 4, 6}, "a  b": {0, 4, 1, 5}, "a\n   b": {0, 4, 7, 2, 5}, "a▁ b": {0, 4, 1, 5}, "▁▁b": {0, 1, 5}} {
		if got := b.Encode(text, true); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
