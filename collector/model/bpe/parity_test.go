package bpe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// unzip reads a file made by scripts/ref/bpe_ref.py.
func unzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func load(t testing.TB, name string) *BPE {
	t.Helper()
	b, err := Parse(unzip(t, name+".tokenizer.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type reference struct {
	Text    string  `json:"t"`
	IDs     []int32 `json:"ids"`
	Special []int32 `json:"sp"`
	Decoded string  `json:"d"`
}

func references(t testing.TB, name string) []reference {
	t.Helper()
	var out []reference
	lines := bufio.NewScanner(bytes.NewReader(unzip(t, name+".cases.jsonl.gz")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r reference
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// pipelines are the tokenizers in testdata, with how many texts each has at least.
var pipelines = map[string]int{"gpt2": 2000, "neox": 2000, "llama3": 2000, "qwen2": 2000,
	"llama2": 2000, "mistral": 2000, "gemma": 2000, "gpt4": 300, "odd": 600, "words": 500, "loose": 500}

// TestParity compares with the ids that Hugging Face's tokenizers gave.
func TestParity(t *testing.T) {
	for name, least := range pipelines {
		t.Run(name, func(t *testing.T) {
			b, refs := load(t, name), references(t, name)
			if len(refs) < least {
				t.Fatalf("only %d texts", len(refs))
			}
			for _, r := range refs {
				if got := b.Encode(r.Text, false); !slices.Equal(got, r.IDs) {
					t.Errorf("%q:\n got %v %q\nwant %v", r.Text, got, tokens(b, got), r.IDs)
				}
				if got := b.Encode(r.Text, true); !slices.Equal(got, r.Special) {
					t.Errorf("%q with specials: %v, want %v", r.Text, got, r.Special)
				}
				if got := b.Decode(r.IDs); got != r.Decoded && !strings.Contains(r.Decoded, "\uFFFD") {
					t.Errorf("%v decoded: %q, want %q", r.IDs, got, r.Decoded)
				}
			}
		})
	}
}

func tokens(b *BPE, ids []int32) (out []string) {
	for _, id := range ids {
		out = append(out, b.Token(id))
	}
	return out
}

// TestParityConcurrent runs several texts at a time through one BPE.
func TestParityConcurrent(t *testing.T) {
	b, refs := load(t, "gpt2"), references(t, "gpt2")
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := k; i < len(refs); i += 3 {
				if got := b.Encode(refs[i].Text, false); !slices.Equal(got, refs[i].IDs) {
					t.Errorf("%q: %v", refs[i].Text, got)
				}
			}
		})
	}
	wg.Wait()
}

// TestClasses compares the class of every character with the reference's regular
// expressions, whose Unicode version may be another than Go's.
func TestClasses(t *testing.T) {
	var runs [][3]int32
	if err := json.Unmarshal(unzip(t, "classes.json.gz"), &runs); err != nil {
		t.Fatal(err)
	}
	want := make([]class, 0x110000)
	for _, r := range runs {
		for c := r[0]; c <= r[1]; c++ {
			want[c] = class(r[2])
		}
	}
	differ := 0
	for c := range rune(0x110000) {
		if (c < 0xd800 || c >= 0xe000) && slowClass(c) != want[c] {
			differ++
			t.Logf("U+%04X: class %d, want %d", c, slowClass(c), want[c])
		}
	}
	if differ > 0 {
		t.Errorf("%d characters", differ)
	}
}

// TestWordCharacters compares what may not stand beside a single_word token.
func TestWordCharacters(t *testing.T) {
	var runs [][2]rune
	if err := json.Unmarshal(unzip(t, "wordchars.json.gz"), &runs); err != nil {
		t.Fatal(err)
	}
	want := make([]bool, 0x110000)
	for _, r := range runs {
		for c := r[0]; c <= r[1]; c++ {
			want[c] = true
		}
	}
	for c := range rune(0x110000) {
		if isWord(c) != want[c] && (c < 0xd800 || c >= 0xe000) {
			t.Errorf("U+%04X: %t, want %t", c, isWord(c), want[c])
		}
	}
}

// TestNFCIsTheReference compares the combining characters and the compositions with
// those of the reference, whose tables are of another Unicode version.
func TestNFCIsTheReference(t *testing.T) {
	var want struct {
		Marks    [][2]rune
		Composed [][2]string
	}
	if err := json.Unmarshal(unzip(t, "nfc.json.gz"), &want); err != nil {
		t.Fatal(err)
	}
	marks := map[rune]bool{}
	for _, r := range want.Marks {
		for c := r[0]; c <= r[1]; c++ {
			marks[c] = true
		}
	}
	for c := range rune(0x110000) {
		if c >= 0xac00 && c < 0xe000 || c == 0x345 {
			continue
		}
		text := "x\u0345" + string(c)
		if got := nfc(text) != "x\u0345"+nfc(string(c)); got != marks[c] {
			t.Errorf("U+%04X moves: %t, want %t", c, got, marks[c])
		}
	}
	for _, c := range want.Composed {
		if got := nfc(c[0]); got != c[1] {
			t.Errorf("%+q: %+q, want %+q", c[0], got, c[1])
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"gpt2", "neox", "llama3", "qwen2", "llama2", "mistral", "gemma", "loose"} {
		t := load(b, name)
		var mixed strings.Builder
		for _, r := range references(b, name) {
			if len(r.Text) < 200 {
				mixed.WriteString(r.Text)
			}
		}
		plain := strings.Repeat("The capital of the largest city is not one that you could see, and it's 42 years old.\n", 200)
		for kind, text := range map[string]string{"mixed": mixed.String(), "plain": plain} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					t.Encode(text, false)
				}
			})
		}
	}
}
