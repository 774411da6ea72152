package bpe

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

func TestPatternsThatTheEnginesReadDifferentlyAreRefused(t *testing.T) {
	for _, p := range []string{`\w+`, `a.b`, `^a`, `a++`, `a??`, `(?<=a)b`, `(?<n>a)`, `[a[b]]`, `[a&&b]`, `[a-[b]]`, `\h`, `\X`, `\u0041`, `\x41`, `(?i:\p{L})(?i:a`,
		`\p{Nope}`, `\p{`, `\p{é}`, `a{b}`, `a{1`, `[`, `(`, `)`, `]`, `\`, `(?i)a`, `(?m:a)`, `\1`, `\B`, strings.Repeat("a", maxPattern+1)} {
		if _, err := isolate(p, longestMatch, nil); !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestIsolatedMatchesAndWhatLiesBetween(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`\p{N}`, "a12 3", "a|1|2| |3"}, {`\d{1,3}(?=(?:\d{3})*(?!\d))`, "1234567 89", "1|234|567| |89"}, {`\s+$`, "a  \nb  ", "a|  |\nb|  "},
		{`(?i:'s|k)`, "a'S'ſk\u212a", "a|'S|'ſ|k|\u212a"}, {`x`, "", ""}, {`x`, "\xff\xfex\xff", "\xff\xfe|x|\xff"}, {`(?=b)`, "abab", "a|ba|b"},
		{`\p{L}+`, "\U0001e5d0\u1c89 x", "\U0001e5d0\u1c89| |x"}, // letters of Unicode 16
		{`[\p{L}&&[^\p{Han}]]+`, "ab中c", "ab|中|c"},
	} {
		s, err := isolate(c.pattern, longestMatch, func(err error) { t.Error(err) })
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		var got []string
		s(c.text, func(word string) { got = append(got, word) })
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s on %q: %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

// A pattern whose matching comes to no end is given up, with an error that names it, and every byte is still there.
func TestPatternsWithoutEndAreGivenUp(t *testing.T) {
	for _, pattern := range []string{`(?:a|aa)+b`, `a*a*a*a*a*a*a*b`} {
		var fault error
		s, err := isolate(pattern, 50*time.Millisecond, func(err error) { fault = err })
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		text, got := "b"+strings.Repeat("a", 2000), ""
		s(text, func(word string) { got += word })
		if !errors.Is(fault, ErrPattern) || !strings.Contains(fault.Error(), pattern) || got != text {
			t.Errorf("%s: %v, and %d of %d bytes", pattern, fault, len(got), len(text))
		}
	}
	regexp2.StopTimeoutClock()
}

// After a text was given up nothing is encoded, and Err says so.
func TestErr(t *testing.T) {
	var none *BPE
	b := &BPE{}
	if none.Err() != nil || b.Err() != nil {
		t.Error("an error before anything was encoded")
	}
	b.fail(ErrPattern)
	b.fail(errors.New("another"))
	if !errors.Is(b.Err(), ErrPattern) || b.Encode("x", true) != nil {
		t.Errorf("%v", b.Err())
	}
}

// The scanner of numbers cuts every character as the pattern does.
func TestNumbersAreIsolatedAsByTheirPattern(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) {
			all.WriteRune(r)
		}
	}
	texts := []string{all.String(), "1234567 89a\xff1\xff", "٣٤٥٦½Ⅷ ²x", "x"}
	for pattern, most := range numberPatterns {
		s, err := isolate(pattern, longestMatch, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			var got, want []string
			s(text, func(word string) { want = append(want, word) })
			numbers(most).stage(text, func(word string) { got = append(got, word) })
			if !slices.Equal(got, want) {
				t.Errorf("%s cuts %.20q into %d words, want %d", pattern, text, len(got), len(want))
			}
		}
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add(`(?i:'s|'t)|[^\r\n\p{L}]?\p{L}+|\s+(?!\S)`, "it's a\ttest")
	f.Add(`[\p{Lu}&&[^\p{Han}]]*`, "Ab\xff")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 60 || len(text) > 30 { // backtracking takes its time
			return
		}
		s, err := isolate(pattern, longestMatch, func(err error) { t.Error(err) })
		if err != nil {
			return
		}
		var words []string
		s(text, func(word string) { words = append(words, word) })
		if strings.Join(words, "") != text || slices.Contains(words, "") {
			t.Errorf("%q cuts %q into %q", pattern, text, words)
		}
	})
}
