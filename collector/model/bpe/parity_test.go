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

// TestParity compares with the ids that Hugging Face's tokenizers gave.
func TestParity(t *testing.T) {
	for name, least := range map[string]int{"gpt2": 2000, "neox": 1000, "odd": 600} {
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

func BenchmarkEncode(b *testing.B) {
	t := load(b, "gpt2")
	var text strings.Builder
	for _, r := range references(b, "gpt2") {
		if len(r.Text) < 200 {
			text.WriteString(r.Text)
		}
	}
	mixed := text.String()
	plain := strings.Repeat("The capital of the largest city is not one that you could see, and it's 42 years old.\n", 200)
	for name, text := range map[string]string{"mixed": mixed, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				t.Encode(text, false)
			}
		})
	}
}
