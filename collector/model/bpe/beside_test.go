package bpe

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// besideCase is one set of files beside a tokenizer.json, and the ids that AutoTokenizer of transformers 5.23 gives.
type besideCase struct {
	File, Type         string
	Config, Added, Map json.RawMessage
	IDs                [][]int32
}

func readBeside(t *testing.T) (files map[string]json.RawMessage, texts []string, cases []besideCase) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "beside.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Files map[string]json.RawMessage
		Texts []string
		Cases []besideCase
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Files, all.Texts, all.Cases
}

func orNil(raw json.RawMessage) []byte {
	if isNull(raw) {
		return nil
	}
	return raw
}

func TestFilesBesideATokenizerAreReadAsAutoTokenizerDoes(t *testing.T) {
	files, texts, cases := readBeside(t)
	for i, c := range cases {
		b, err := ParseBeside(files[c.File], Beside{Config: orNil(c.Config), AddedTokens: orNil(c.Added), SpecialMap: orNil(c.Map), ModelType: c.Type})
		if err != nil {
			t.Errorf("case %d: %s, %s, %s: %v", i, c.File, c.Type, c.Config, err)
			continue
		}
		for k, text := range texts {
			if got := b.Encode(text, true); !slices.Equal(got, c.IDs[k]) {
				t.Errorf("case %d: %s, %s, %s %s %s: %q gives %v, want %v", i, c.File, c.Type, c.Config, c.Added, c.Map, text, got, c.IDs[k])
				break
			}
		}
	}
}

func TestFilesBesideATokenizerThatAreBroken(t *testing.T) {
	files, _, _ := readBeside(t)
	for says, b := range map[string]Beside{
		"tokenizer_config.json: a JSON array":      {Config: []byte(`[1]`)},
		"tokenizer_config.json: split_special":     {Config: []byte(`{"split_special_tokens": "no"}`)},
		"bos_token is no token":                    {Config: []byte(`{"bos_token": 3}`)},
		"extra_special_tokens":                     {Config: []byte(`{"extra_special_tokens": 3}`)},
		"added_tokens_decoder has the id \"x\"":    {Config: []byte(`{"added_tokens_decoder": {"x": {"content": "a"}}}`)},
		"added_tokens.json":                        {AddedTokens: []byte(`{"a": "b"}`)},
		"special_tokens_map.json":                  {SpecialMap: []byte(`3`)},
		"tokenizer_config.json: unexpected end of": {Config: []byte(`{`)},
	} {
		if _, err := ParseBeside(files["gpt2"], b); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s %s %s: %v, want one that says %q", b.Config, b.AddedTokens, b.SpecialMap, err, says)
		}
	}
}

func TestOtherRulesThanTheFilesAreSaid(t *testing.T) {
	files, _, _ := readBeside(t)
	for class, want := range map[string]int{"PreTrainedTokenizerFast": 0, "GPT2Tokenizer": 1} { // the file normalises
		b, err := ParseBeside(files["nfc"], Beside{Config: []byte(`{"tokenizer_class": "` + class + `"}`), ModelType: "gpt2"})
		if err != nil || len(b.Notes()) != want {
			t.Errorf("%s: %q, %v", class, b.Notes(), err)
		}
	}
}

func TestABeginningThatIsThereTwice(t *testing.T) {
	files, _, _ := readBeside(t)
	b, err := Parse(files["bos"])
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"<s>a": true, "a": false, "": false, "a<s>": false} {
		if got := b.BeginsTwice(b.Encode(text, true)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if plain, err := Parse(files["gpt2"]); err != nil || plain.BeginsTwice([]int32{1, 1}) || (*BPE)(nil).Notes() != nil {
		t.Errorf("without a beginning: %v", err)
	}
}

func FuzzBeside(f *testing.F) {
	f.Add([]byte(`{"tokenizer_class": "LlamaTokenizer", "bos_token": {"content": "<s>"}, "added_tokens_decoder": {"3": {"content": "x"}}}`), []byte(`{"a": 1}`), "a<s>x")
	f.Add([]byte(`{"tokenizer_class": "GPTNeoXTokenizer", "extra_special_tokens": {"b": "c"}, "split_special_tokens": true}`), []byte(nil), "abc")
	const file = `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3}, "merges": ["a b"]}, "added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}`
	f.Fuzz(func(t *testing.T, config, added []byte, text string) {
		b, err := ParseBeside([]byte(file), Beside{Config: config, AddedTokens: added, SpecialMap: added, ModelType: "gpt2"})
		if err == nil {
			b.Encode(text, true)
		}
	})
}

// A checkpoint without a tokenizer has a nil one, which can be asked everything.
func TestNilHasNoTokens(t *testing.T) {
	var b *BPE
	if _, ok := b.ID("a"); ok || b.Size() != 0 || b.Token(3) != "" || len(b.Encode("a", true)) != 0 || b.Decode([]int32{1}) != "" || b.BeginsTwice([]int32{1, 1}) || b.Notes() != nil {
		t.Error("a nil tokenizer has tokens")
	}
}
