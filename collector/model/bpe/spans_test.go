package bpe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestSpans compares the spans of tokens with the reference's (scripts/ref/bpe_spans_ref.py).
func TestSpans(t *testing.T) {
	for name := range pipelines {
		t.Run(name, func(t *testing.T) {
			b, cases := load(t, name), references(t, name)
			lines := bufio.NewScanner(bytes.NewReader(unzip(t, name+".spans.jsonl.gz")))
			lines.Buffer(nil, 1<<20)
			wrong, n := 0, 0
			for ; lines.Scan(); n++ {
				var flat []int32
				if err := json.Unmarshal(lines.Bytes(), &flat); err != nil {
					t.Fatal(err)
				}
				ids, starts, ends := b.EncodeOffsets(cases[n].Text, true)
				if slices.Equal(ids, cases[n].Special) && slices.Equal(flattened(starts, ends), flat) {
					continue
				}
				if wrong++; wrong <= 5 {
					t.Errorf("%+q:\n got %v %q\nwant %v", cases[n].Text, flattened(starts, ends), tokens(b, ids), flat)
				}
			}
			if n < 300 {
				t.Errorf("only %d texts", n)
			}
			t.Logf("%d of %d texts differ", wrong, n)
		})
	}
}

func flattened(starts, ends []int32) []int32 {
	flat := []int32{}
	for i := range starts {
		flat = append(flat, starts[i], ends[i])
	}
	return flat
}

func TestSpansOfEverydayText(t *testing.T) {
	b := load(t, "llama3")
	text := "the 👍🏽 café"
	ids, starts, ends := b.EncodeOffsets(text, true)
	runes := []rune(text)
	for i, id := range ids[1:] {
		token, part := b.Token(id), string(runes[starts[i+1]:ends[i+1]])
		if utf8.ValidString(b.piece(id)) && token != part {
			t.Errorf("token %q stands for %q", token, part)
		}
		if strings.Contains(token, "\uFFFD") && !strings.Contains("👍🏽 é", strings.TrimSpace(part)) {
			t.Errorf("a part of a character stands for %q", part)
		}
	}
	if starts[0] != 0 || ends[0] != 0 {
		t.Errorf("the token in front stands for %d to %d", starts[0], ends[0])
	}
	if !b.IsSpecial(ids[0]) || b.IsSpecial(ids[1]) {
		t.Error("the token in front, and only it, is special")
	}
}

func FuzzSpans(f *testing.F) {
	names := []string{"neox", "llama2", "odd", "loose"}
	var all []*BPE
	for _, name := range names {
		all = append(all, load(f, name))
	}
	for _, text := range []string{"", "a", "e\u0301\xff ", "<mask>  ▁", "👩‍👩‍👧‍👦", "\u0344\u0345\u0f73"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := int32(utf8.RuneCountInString(text))
		for i, b := range all {
			ids, starts, ends := b.EncodeOffsets(text, true)
			if !slices.Equal(ids, b.Encode(text, true)) || len(starts) != len(ids) || len(ends) != len(ids) {
				t.Fatalf("%s: other ids, or %d starts for %d", names[i], len(starts), len(ids))
			}
			for k := range ids {
				if starts[k] < 0 || ends[k] < starts[k] || ends[k] > n {
					t.Fatalf("%s: %d to %d of %d code points", names[i], starts[k], ends[k], n)
				}
			}
		}
	})
}
