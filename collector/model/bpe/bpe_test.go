package bpe

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// tiny is a tokenizer over a, b, c and the space; %s holds further fields.
const tiny = `{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
	"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5,"Ġa":6},"merges":MERGES},ADDED}`

func parseTiny(t testing.TB, merges, added string) *BPE {
	t.Helper()
	b, err := Parse([]byte(strings.NewReplacer("MERGES", merges, "ADDED", added).Replace(tiny)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBothSpellingsOfMerges(t *testing.T) {
	for _, merges := range []string{`["a b","ab c","Ġ a"]`, `[["a","b"],["ab","c"],["Ġ","a"]]`} {
		b := parseTiny(t, merges, `"added_tokens":[]`)
		if got := b.Encode("abc ab a", true); !slices.Equal(got, []int32{5, 3, 4, 6}) {
			t.Errorf("%s: %v", merges, got)
		}
	}
}

func TestMergeOrder(t *testing.T) {
	b := parseTiny(t, `["Ġ a","a b","ab c"]`, `"added_tokens":[]`)
	if got := b.Encode("abc ab", false); !slices.Equal(got, []int32{5, 6, 1}) {
		t.Errorf("the lowest rank did not go first: %v", got)
	}
}

func TestAddedTokens(t *testing.T) {
	b := parseTiny(t, `["a b"]`, `"added_tokens":[{"id":7,"content":"<x>","lstrip":true},{"id":8,"content":"<xx>"},{"id":2,"content":"c"}]`)
	if got := b.Encode("ab  <x><xx>c b", false); !slices.Equal(got, []int32{4, 7, 8, 2, 3, 1}) {
		t.Errorf("%v", got)
	}
	if b.Size() != 9 || b.Token(8) != "<xx>" || b.Token(9) != "" || b.Token(-1) != "" {
		t.Errorf("size %d, token 8 %q", b.Size(), b.Token(8))
	}
	for token, want := range map[string]int32{"<x>": 7, "Ġa": 6, "c": 2} {
		if id, ok := b.ID(token); !ok || id != want {
			t.Errorf("ID(%q) = %d, %v", token, id, ok)
		}
	}
	if _, ok := b.ID(" a"); ok {
		t.Error("an unknown token has an id")
	}
}

func TestTokenOfPartOfACharacter(t *testing.T) {
	b := load(t, "gpt2")
	ids := b.Encode("\u4e5f", false)
	if len(ids) < 2 || b.Token(ids[0]) != "\uFFFD" || b.Decode(ids) != "\u4e5f" {
		t.Errorf("%v %q", tokens(b, ids), b.Decode(ids))
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, unzip(t, "gpt2.tokenizer.json.gz"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := Load(path)
	if err != nil || b.Size() < 900 {
		t.Errorf("size %d, %v", b.Size(), err)
	}
	for _, p := range []string{path + ".none", t.TempDir()} {
		if _, err := Load(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// slowMerge is the definition: again and again the pair of lowest rank, leftmost.
func slowMerge(ids []int32, pairs map[pair]merge) []int32 {
	ids = slices.Clone(ids)
	for {
		best, at := merge{rank: 1 << 30}, -1
		for i := 0; i+1 < len(ids); i++ {
			if m, ok := pairs[pair{ids[i], ids[i+1]}]; ok && m.rank < best.rank {
				best, at = m, i
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, best.id)
	}
}

func TestMergerEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pairs := map[pair]merge{}
		for rank := range int32(rapid.IntRange(0, 30).Draw(t, "merges")) {
			p := pair{rapid.Int32Range(0, 3+rank).Draw(t, "a"), rapid.Int32Range(0, 3+rank).Draw(t, "b")}
			if _, ok := pairs[p]; !ok {
				pairs[p] = merge{rank, 4 + rank}
			}
		}
		ids := rapid.SliceOfN(rapid.Int32Range(0, 3), 0, 60).Draw(t, "word")
		var m merger
		for range 2 { // the memory of the first run must not show in the second
			for _, id := range ids {
				m.add(id, 1)
			}
			if got, want := m.run(nil, newPairTable(pairs)), slowMerge(ids, pairs); !slices.Equal(got, want) {
				t.Fatalf("%v with %v: %v, want %v", ids, pairs, got, want)
			}
		}
	})
}

func TestPairTable(t *testing.T) {
	pairs := map[pair]merge{}
	for i := range int32(5000) {
		pairs[pair{rand.Int32N(70), rand.Int32N(70)}] = merge{i, i}
	}
	table := newPairTable(pairs)
	for a := range int32(70) {
		for b := range int32(70) {
			want, ok := pairs[pair{a, b}]
			if got, found := table.get(a, b); found != ok || got != want {
				t.Fatalf("%d %d: %v %v, want %v %v", a, b, got, found, want, ok)
			}
		}
	}
}

func TestByteAlphabet(t *testing.T) {
	for b := range 256 {
		raw := string([]byte{byte(b)})
		if got := unspell(spell(raw)); got != raw {
			t.Errorf("byte %#x came back as %q", b, got)
		}
	}
	if spell(" \n") != "ĠĊ" || unspell("not 中") != "not 中" {
		t.Error("the alphabet is not GPT-2's")
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string]string{
		"a\n\nb":       "a|\n|\n|b",
		"foo\n\n\nbar": "foo|\n\n|\n|bar",
		"\t\tx":        "\t|\t|x",
		"a  b ":        "a| | b| ",
		"I'll it''s":   "I|'ll| it|''|s",
		" 's 12ab½ x²": " '|s| 12|ab|½| x|²",
		" \u00a0x\xff": " |\u00a0|x|\xff",
	} {
		if got := strings.Join(words(text), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func words(text string) (out []string) {
	for text != "" {
		n := gpt2(text)
		out, text = append(out, text[:n]), text[n:]
	}
	return out
}

func TestSlowNFC(t *testing.T) {
	pool := []rune("aeoqu가각갂각ẹ̈q̣̇ếがきゞ゚\u0301\u0308\u0323\u0307\u0327\u0345\u0340\u0343\u0344\u0958\u2126\ufb1d\u0f73\u0f71 x\u1100\u1161\u11a8\U0001d15e")
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.SampledFrom(pool), 0, 12).Draw(t, "text"))
		if got, want := slowNFC(text), norm.NFC.String(text); got != want {
			t.Fatalf("%+q: %+q, want %+q", text, got, want)
		}
	})
}

func TestNFC(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                               "plain",
		"\U000e0075\u0301e\u0301":             "\U000e0075\u0301é",
		"\U00011099\u0301\U000110ba":          "\U0001109a\u0301",
		"\U00011099\U000110ba":                "\U0001109a",
		"cafe\u0301":                          "café",
		"a\xffe\u0301":                        "a\xffé",
		"e" + strings.Repeat("\u0301", 40):    "é" + strings.Repeat("\u0301", 39),
		strings.Repeat("é", 40):               strings.Repeat("é", 40),
		"\xff" + strings.Repeat("ế", 20):      "\xff" + strings.Repeat("ế", 20),
		strings.Repeat("\u0301", 31) + "\x80": strings.Repeat("\u0301", 31) + "\x80",
	} {
		if got := nfc(text); got != want {
			t.Errorf("%+q: %+q, want %+q", text, got, want)
		}
	}
}

func TestLongWord(t *testing.T) {
	b := load(t, "gpt2")
	text := strings.Repeat("abcdef", 50000)
	if got := b.Decode(b.Encode(text, false)); got != text {
		t.Error("a long word did not come back")
	}
}

func TestCacheIsBounded(t *testing.T) {
	b := load(t, "gpt2")
	e := &encoder{BPE: b, words: newWordCache()}
	for range cacheWords + 100 {
		word := make([]byte, 12)
		for i := range word {
			word[i] = 'a' + byte(rand.IntN(26))
		}
		e.out = e.out[:0]
		e.word(string(word))
		if b.Decode(e.out) != string(word) {
			t.Fatalf("%q", word)
		}
	}
	if n := len(e.words.at); n > cacheWords || len(e.words.ids) > cacheWords*cacheWordLen {
		t.Errorf("%d words, %d ids", n, len(e.words.ids))
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "a b", "\t\t\n x", "\xff\xfe", "it's 12\u00a0'll", "<|endoftext|> \u0301"} {
		f.Add(s)
	}
	b := load(f, "gpt2")
	f.Fuzz(func(t *testing.T, text string) {
		ids := b.Encode(text, false)
		if got := b.Decode(ids); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		if again := b.Encode(text, false); !slices.Equal(again, ids) {
			t.Fatalf("%q: %v and then %v", text, ids, again)
		}
	})
}
