package bpe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fuzzTexts is how many texts each tokenizer gets beside Python's.
const fuzzTexts = 50_000

// pyEncode encodes the JSON strings of its input, one to a line, with the
// tokenizer file it is given.
const pyEncode = `
import json, sys
from tokenizers import Tokenizer
t = Tokenizer.from_file(sys.argv[1])
texts = [json.loads(line) for line in sys.stdin]
for e in t.encode_batch(texts, add_special_tokens=True):
    print(json.dumps({"ids": e.ids, "spans": [n for s in e.offsets for n in s]}))
`

// TestPython compares ids and spans of fresh random texts with those of Hugging Face's
// tokenizers; it needs ACTFLEET_PYTHON, a Python that has them.
func TestPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for name := range pipelines {
		t.Run(name, func(t *testing.T) {
			b := load(t, name)
			texts := fuzz(rand.New(rand.NewPCG(seed, 1)), b, fuzzTexts)
			path := filepath.Join(t.TempDir(), "tokenizer.json")
			if err := os.WriteFile(path, unzip(t, name+".tokenizer.json.gz"), 0o600); err != nil {
				t.Fatal(err)
			}
			wrong := 0
			for i, want := range pythonEncodes(t, python, path, texts) {
				got := b.Encode(texts[i], true)
				ids, starts, ends := b.EncodeOffsets(texts[i], true)
				if slices.Equal(got, want.IDs) && slices.Equal(ids, got) && slices.Equal(flattened(starts, ends), want.Spans) {
					continue
				}
				if wrong++; wrong <= 5 {
					t.Errorf("%+q:\n got %v %q\n    %v\nwant %v", texts[i], got, tokens(b, got), flattened(starts, ends), want)
				}
			}
			t.Logf("%d of %d texts differ", wrong, len(texts))
		})
	}
}

// encoded is a text's ids, and start and end of each one's span.
type encoded struct{ IDs, Spans []int32 }

func pythonEncodes(t *testing.T, python, path string, texts []string) []encoded {
	t.Helper()
	var in, out, said bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, text := range texts {
		if err := enc.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-c", pyEncode, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, said.Bytes())
	}
	var all []encoded
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e encoded
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d answers to %d texts", len(all), len(texts))
	}
	return all
}

// fuzz makes texts of pieces that tokenizers disagree on, among them the added
// tokens of b.
func fuzz(r *rand.Rand, b *BPE, n int) []string {
	added := []string{"added"}
	for token := range b.added {
		added = append(added, token, token[:len(token)/2], " "+token+"  ")
	}
	slices.Sort(added)
	for i := range added { // halves of tokens may end inside a character
		added[i] = strings.ToValidUTF8(added[i], "")
	}
	texts := make([]string, n)
	for i := range texts {
		var text strings.Builder
		for range 1 + r.IntN(2+r.IntN(10)) {
			text.WriteString(fuzzPiece(r, added))
		}
		texts[i] = text.String()
	}
	return texts
}

var fuzzFixed = strings.Split(`'s|'S|'ſ|'t|'re|'RE|'vE|'m|'ll|'lL|'d|''|’s|don't|I'M| the| of|the|import|attention|naïve café|`+
	`привет мир|你好世界|こんにちはがぎ|안녕하세요|مرحبا|हिन्दी|ไทย|👩‍👩‍👧‍👦|👍🏽|🇩🇪|½|²|Ⅷ|٣١|१२३|∑≠|▁|▁▁|▁a|<0x0A>|<unk>|<s>|</s>|`+
	"\r\n|\r|\n|\n\n|\n\n\n| \n|\n |\t|\t\t| |  |   |        |\u00a0|\u3000|\u2028|\u0085|\v|\f|\u200d|\ufeff|\u0000|\u007f|e\u0301|\u1100\u1161\u11a8", "|")

func fuzzPiece(r *rand.Rand, added []string) string {
	switch r.IntN(8) {
	case 0:
		return fmt.Sprint(r.IntN(1 << r.IntN(30)))
	case 1:
		return added[r.IntN(len(added))]
	case 2: // any characters from one block
		from := rune(r.IntN(0x1100)) << 8
		if r.IntN(2) == 0 {
			from = rune(r.IntN(0x30)) << 8
		}
		var s strings.Builder
		for range 1 + r.IntN(4) {
			s.WriteRune(from + rune(r.IntN(256))) // a surrogate becomes U+FFFD
		}
		return s.String()
	case 3:
		var s strings.Builder
		for range 1 + r.IntN(6) {
			s.WriteByte(byte(r.IntN(128)))
		}
		return s.String()
	case 4: // a letter with marks
		s := string("aeouqnK "[r.IntN(8)])
		for range 1 + r.IntN(3) {
			s += string(rune(0x300 + r.IntN(0x70)))
		}
		return s
	}
	return fuzzFixed[r.IntN(len(fuzzFixed))]
}
