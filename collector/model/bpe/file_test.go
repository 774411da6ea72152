package bpe

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const (
	okModel = `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	okSplit = `"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
)

func TestParseRefuses(t *testing.T) {
	model := func(fields string) string {
		return `{` + okSplit + `,"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":[],` + fields + `}}`
	}
	added := func(tokens string) string { return `{` + okSplit + `,` + okModel + `,"added_tokens":[` + tokens + `]}` }
	post := func(fields string) string {
		return `{` + okSplit + `,` + okModel + `,"post_processor":{` + fields + `}}`
	}
	pre := func(part string) string { return `{` + okModel + `,"pre_tokenizer":` + part + `}` }
	norm := func(part string) string { return `{` + okSplit + `,` + okModel + `,"normalizer":` + part + `}` }
	splitBy := func(pattern, behavior, bytes string) string {
		return `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"` + pattern + `"},"behavior":"` + behavior +
			`"},{"type":"ByteLevel","add_prefix_space":false,` + bytes + `}]}`
	}
	for name, c := range map[string]struct {
		text, want string
		kind       error
	}{
		"not json":          {`{`, "JSON", ErrCorrupt},
		"no model":          {`{` + okSplit + `}`, "no model", ErrCorrupt},
		"empty":             {`{` + okSplit + `,"model":{"type":"BPE"}}`, "without vocab", ErrCorrupt},
		"unigram":           {model(`"type":"Unigram"`), `model "Unigram"`, ErrUnsupported},
		"dropout":           {model(`"dropout":0.1`), "dropout 0.1", ErrUnsupported},
		"prefix":            {model(`"continuing_subword_prefix":"##"`), `continuing_subword_prefix "##"`, ErrUnsupported},
		"suffix":            {model(`"end_of_word_suffix":"</w>"`), `end_of_word_suffix "</w>"`, ErrUnsupported},
		"byte fallback":     {model(`"byte_fallback":true`), "byte_fallback behind pre_tokenizer ByteLevel", ErrUnsupported},
		"unk":               {model(`"unk_token":"?"`), `unk_token "?"`, ErrCorrupt},
		"merge of three":    {strings.Replace(model(`"type":"BPE"`), `[]`, `["a b c"]`, 1), "two tokens", ErrCorrupt},
		"merge of one":      {strings.Replace(model(`"type":"BPE"`), `[]`, `[["a"]]`, 1), "two tokens", ErrCorrupt},
		"unknown merge":     {strings.Replace(model(`"type":"BPE"`), `[]`, `["b a"]`, 1), `merge 0 ("b", "a")`, ErrCorrupt},
		"shared id":         {`{` + okSplit + `,"model":{"vocab":{"a":0,"b":0},"merges":[]}}`, "share id 0", ErrCorrupt},
		"negative id":       {`{` + okSplit + `,"model":{"vocab":{"a":-1},"merges":[]}}`, "id -1", ErrCorrupt},
		"huge id":           {`{` + okSplit + `,"model":{"vocab":{"a":2000000000},"merges":[]}}`, "id 2000000000", ErrCorrupt},
		"normalizer":        {`{` + okSplit + `,` + okModel + `,"normalizer":{"type":"NFKC"}}`, `normalizer "NFKC"`, ErrUnsupported},
		"in a sequence":     {`{` + okSplit + `,` + okModel + `,"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}}`, `normalizer "Lowercase"`, ErrUnsupported},
		"pre-tokenizer":     {pre(`{"type":"WhitespaceSplit"}`), `pre_tokenizer "WhitespaceSplit"`, ErrUnsupported},
		"meta mark":         {pre(`{"type":"Metaspace","replacement":"_"}`), `replacement "_"`, ErrUnsupported},
		"meta scheme":       {pre(`{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}`), `prepend_scheme "last"`, ErrUnsupported},
		"meta contradicts":  {pre(`{"type":"Metaspace","replacement":"▁","add_prefix_space":false}`), "contradict", ErrCorrupt},
		"split alone":       {pre(`{"type":"Split","pattern":{"String":","},"behavior":"Isolated"}`), `Split by ","`, ErrUnsupported},
		"split pattern":     {pre(splitBy(`\\w+`, "Isolated", `"use_regex":false`)), "the pattern \"\\\\w+\"", ErrUnsupported},
		"split behavior":    {pre(splitBy(`\\w+`, "Removed", `"use_regex":false`)), `behavior "Removed", invert false`, ErrUnsupported},
		"replace regex":     {norm(`{"type":"Replace","pattern":{"Regex":" +"},"content":""}`), `regular expression " +"`, ErrUnsupported},
		"replace nothing":   {norm(`{"type":"Replace","pattern":{"String":""},"content":""}`), "without pattern", ErrCorrupt},
		"prepend nothing":   {norm(`{"type":"Prepend"}`), "without prepend", ErrCorrupt},
		"split":             {`{` + okModel + `,"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"ByteLevel","add_prefix_space":false}]}}`, "Whitespace beside a ByteLevel", ErrUnsupported},
		"no prefix space":   {`{` + okModel + `,"pre_tokenizer":{"type":"ByteLevel"}}`, "add_prefix_space", ErrCorrupt},
		"post-processor":    {post(`"type":"RobertaProcessing"`), `post_processor "RobertaProcessing"`, ErrUnsupported},
		"template twice":    {post(`"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"Sequence":{"id":"A"}}]`), "text 2 times", ErrUnsupported},
		"template no ids":   {post(`"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]`), `no ids for "<s>"`, ErrCorrupt},
		"template bad id":   {post(`"type":"TemplateProcessing","special_tokens":{"<s>":{"ids":[9]}},"single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]`), "no token has id 9", ErrCorrupt},
		"template item":     {post(`"type":"TemplateProcessing","single":[{}]`), "unknown item", ErrCorrupt},
		"added place":       {added(`{"id":5,"content":"<x>"}`), "its place is 3", ErrCorrupt},
		"added twice":       {added(`{"id":3,"content":"<x>"},{"id":4,"content":"<x>"}`), "given twice", ErrCorrupt},
		"added in vocab":    {added(`{"id":3,"content":"a"}`), "its place is 0", ErrCorrupt},
		"added look alike":  {strings.Replace(added(`{"id":3,"content":"é","normalized":true},{"id":4,"content":"e\u0301","normalized":true}`), `"model"`, `"normalizer":{"type":"NFC"},"model"`, 1), "look the same", ErrCorrupt},
		"added over a hole": {`{` + okSplit + `,"model":{"vocab":{"a":0,"b":2},"merges":[]},"added_tokens":[{"id":2,"content":"<x>"}]}`, "share id 2", ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v with %q", err, c.kind, c.want)
			}
		})
	}
}

func TestParseAcceptsPlainFiles(t *testing.T) {
	for name, text := range map[string]string{
		"nulls":    `{` + okSplit + `,` + okModel + `,"normalizer":null,"post_processor":null,"added_tokens":[]}`,
		"sequence": `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},` + okModel + `}`,
		"no type":  `{` + okSplit + `,"model":{"vocab":{"a":0},"merges":[]}}`,
		"padding":  `{"padding":{"strategy":"BatchLongest"},` + okSplit + `,` + okModel + `}`,
	} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{`+okSplit+`,`+okModel+`,"normalizer":{"type":"NFC"},"added_tokens":[{"id":3,"content":"<x>","lstrip":true,"rstrip":true,"single_word":true}]}`, "a <x> b")
	f.Add(`{`+okSplit+`,`+okModel+`,"added_tokens":[{"id":3,"content":" ","normalized":true,"rstrip":true}]}`, "a   b")
	f.Add(`{`+okModel+`,"pre_tokenizer":{"type":"Sequence","pretokenizers":[]}}`, "ab")
	f.Fuzz(func(t *testing.T, file, text string) {
		if !json.Valid([]byte(file)) {
			return
		}
		b, err := Parse([]byte(file))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%v is neither corrupt nor unsupported", err)
			}
			return
		}
		for _, id := range b.Encode(text, true) {
			if id < 0 || int(id) >= b.Size() {
				t.Fatalf("id %d of %d", id, b.Size())
			}
		}
	})
}
