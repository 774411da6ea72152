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
				ids, spans := b.EncodeSpans(cases[n].Text, true)
				if slices.Equal(ids, cases[n].Special) && slices.Equal(flattened(spans), flat) {
					continue
				}
				if wrong++; wrong <= 5 {
					t.Errorf("%+q:\n got %v %q\nwant %v", cases[n].Text, flattened(spans), tokens(b, ids), flat)
				}
			}
			if n < 300 {
				t.Errorf("only %d texts", n)
			}
			t.Logf("%d of %d texts differ", wrong, n)
		})
	}
}

func flattened(spans []Span) []int32 {
	flat := []int32{}
	for _, s := range spans {
		flat = append(flat, s.Start, s.End)
	}
	return flat
}

func TestSpansOfEverydayText(t *testing.T) {
	b := load(t, "llama3")
	text := "the 👍🏽 café"
	ids, spans := b.EncodeSpans(text, true)
	runes := []rune(text)
	for i, s := range spans[1:] {
		token, part := b.Token(ids[i+1]), string(runes[s.Start:s.End])
		if utf8.ValidString(b.piece(ids[i+1])) && token != part {
			t.Errorf("token %q stands for %q", token, part)
		}
		if strings.Contains(token, "\uFFFD") && !strings.Contains("👍🏽 é", strings.TrimSpace(part)) {
			t.Errorf("a part of a character stands for %q", part)
		}
	}
	if spans[0] != (Span{}) {
		t.Errorf("the token in front has the span %v", spans[0])
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
			ids, spans := b.EncodeSpans(text, true)
			if !slices.Equal(ids, b.Encode(text, true)) || len(spans) != len(ids) {
				t.Fatalf("%s: other ids, or %d spans for %d", names[i], len(spans), len(ids))
			}
			for _, s := range spans {
				if s.Start < 0 || s.End < s.Start || s.End > n {
					t.Fatalf("%s: span %v of %d code points", names[i], s, n)
				}
			}
		}
	})
}
