package checkpoint

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model/gguf"
)

// golden has what tokenizers 0.23 makes of texts under every splitting, with one vocabulary of bytes and of pieces that
// ignore all borders of words.
type golden struct {
	Tokens, Merges, Texts []string
	Rows                  []struct {
		Names []string
		IDs   [][]int32
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "pre.json"))
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g golden) meta(pre string) map[string]any {
	types := make([]int32, len(g.Tokens))
	for i := range types {
		types[i] = 1
	}
	return map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": g.Tokens, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.merges": g.Merges, "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.seperator_token_id": 1}
}

func TestEverySplittingIsTheReferences(t *testing.T) {
	g, seen := readGolden(t), 0
	for _, row := range g.Rows {
		for _, name := range row.Names {
			seen++
			b, err := tokenizer(t, g.meta(name))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, text := range g.Texts {
				if got := b.Encode(text, false); !slices.Equal(got, row.IDs[i]) {
					t.Errorf("%s: %q gives %v, want %v", name, text, got, row.IDs[i])
				}
			}
		}
	}
	for _, s := range splittings {
		if s.characters {
			seen++
		}
	}
	if seen != len(splittings) {
		t.Errorf("%d of %d names tested", seen, len(splittings))
	}
}

// What a file does not say about its beginning and end, the name says.
func TestSplittingsThatBeginAndSeparate(t *testing.T) {
	g := readGolden(t)
	for name, want := range map[string][]int32{"llama-bpe": {0}, "tekken": {0}, "chameleon": {0}, "gpt-2": {}, "qwen2": {}, "glm4": {}, "roberta-bpe": {1}} {
		b, err := tokenizer(t, g.meta(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Encode("", true); !slices.Equal(got, want) {
			t.Errorf("%s: %v around an empty text, want %v", name, got, want)
		}
	}
}

func TestSplittingsOfCharacters(t *testing.T) {
	tokens := []string{"<bos>", "a", "b", "▁", "▁a", "ab", "\n", "\n\n"}
	for b := range 256 {
		tokens = append(tokens, "<0x"+strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15]))+">")
	}
	types := make([]int32, len(tokens))
	for i := range types {
		types[i] = 1
	}
	meta := map[string]any{"tokenizer.ggml.model": "gemma4", "tokenizer.ggml.pre": "gemma4", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.merges": []string{"▁ a", "a b", "\n \n"}, "tokenizer.ggml.bos_token_id": 0}
	b, err := tokenizer(t, meta)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Encode("ab a\n\né", true), []int32{0, 5, 4, 7, 8 + 0xc3, 8 + 0xa9}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSplittingsThatNobodyKnows(t *testing.T) {
	g := readGolden(t)
	for _, name := range []string{"quartz-bpe", "whitespace", "hybriddna"} {
		if _, err := tokenizer(t, g.meta(name)); !errors.Is(err, gguf.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	meta := g.meta("")
	delete(meta, "tokenizer.ggml.pre")
	if _, err := tokenizer(t, meta); !errors.Is(err, gguf.ErrUnsupported) || !strings.Contains(err.Error(), "convert the model again") {
		t.Errorf("no name: %v", err)
	}
}
