package bpe

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitCL100K(t *testing.T) {
	for text, want := range map[string]string{
		"I'LL it''s'ſ":      "I|'LL| it|''|s|'ſ",
		"a\n\nb \r\n c":     "a|\n\n|b| \r\n| c",
		"\n \n\tx":          "\n \n|\tx",
		"  x   12":          " | x|  | |12",
		"!?\n\n(x) .a":      "!?\n\n|(x|)| .|a",
		" !a \u00a0b\u3000": " !|a| |\u00a0b|\u3000",
		"'t 's'":            "'t| '|s|'",
		"é\u0301x\xffy":     "é|\u0301x|\xffy",
	} {
		if got := joined(cl100k(3), text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for digits, want := range map[int]string{3: "x|123|456|7|½", 1: "x|1|2|3|4|5|6|7|½"} {
		if got := joined(cl100k(digits), "x1234567½"); strings.ReplaceAll(got, "7½", "7|½") != want {
			t.Errorf("%d digits: %q", digits, got)
		}
	}
}

func joined(split splitter, text string) string {
	var out []string
	for text != "" {
		n := split(text)
		out, text = append(out, text[:n]), text[n:]
	}
	return strings.Join(out, "|")
}

func TestMarks(t *testing.T) {
	const text = "▁▁a▁b c▁▁▁d▂▁"
	for want, by := range map[string]marks{
		text:                  {},
		"▁|▁a|▁b c|▁|▁|▁d▂|▁": {each: true},
		"▁▁a|▁b c|▁▁▁d▂|▁":    {runs: true},
		"▁▁a▁b |c▁▁▁d▂▁":      {spaces: true},
		"▁▁a|▁b |c|▁▁▁d▂|▁":   {runs: true, spaces: true},
	} {
		if got := joined(by.next, text); got != want {
			t.Errorf("%+v: %q, want %q", by, got, want)
		}
	}
}

// TestSplitBeforeMarks encodes with words split before marks and in one piece.
func TestSplitBeforeMarks(t *testing.T) {
	for _, name := range []string{"llama2", "mistral", "gemma"} {
		b, whole := load(t, name), load(t, name)
		whole.split = func(text string) int { return len(text) }
		for _, r := range references(t, name) {
			got, want := b.Encode(r.Text, false), whole.Encode(r.Text, false)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %q: %v split, %v whole", name, r.Text, got, want)
			}
		}
		if joined(b.split, "a▁b") != "a|▁b" {
			t.Errorf("%s: words are not split", name)
		}
	}
	if b := load(t, "loose"); joined(b.split, "a▁b") != "a▁b" {
		t.Error("merges over marks were not noticed")
	}
}
