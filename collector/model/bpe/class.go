package bpe

import (
	"encoding/json"
	"fmt"
	"strings"
)

// tokenizerClass is a tokenizer class of transformers 5 that takes vocabulary and merges of a tokenizer.json and splits text by
// rules of its own.
type tokenizerClass struct {
	normalizer string
	split      func(s *settings) string // its pre_tokenizer
	characters bool                     // byte_fallback and fuse_unk
	template   bool                     // the file's post_processor stays
	defaults   map[string]string        // special tokens that a tokenizer_config.json need not name
	unk        bool                     // what is outside of the vocabulary becomes the unk_token
	all        bool                     // special tokens lose what a list says of them
}

const endOfText = "<|endoftext|>"

var gptTokens = map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText}

// classes by name. What they do: transformers 5.23, models/*/tokenization_*.py.
var classes = map[string]tokenizerClass{
	"GPT2Tokenizer":    {split: splitGPT2, template: true, defaults: gptTokens},
	"CodeGenTokenizer": {split: splitGPT2, template: true, defaults: gptTokens},
	"GPTNeoXTokenizer": {normalizer: `{"type": "NFC"}`, split: splitGPT2,
		defaults: map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText, "pad_token": "<|padding|>"}},
	"Qwen2Tokenizer": {normalizer: `{"type": "NFC"}`, split: splitQwen2, template: true, all: true,
		defaults: map[string]string{"eos_token": endOfText, "unk_token": endOfText, "pad_token": endOfText}},
	"LlamaTokenizer": {split: splitLlama, characters: true, template: true,
		defaults: map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}},
	"GemmaTokenizer": {normalizer: `{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}`, split: splitGemma,
		characters: true, unk: true, template: true, defaults: map[string]string{"bos_token": "<bos>", "eos_token": "<eos>",
			"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}},
}

// asItIs is the class that takes tokenizer.json as it is.
const asItIs = "TokenizersBackend"

// registered are the classes of model types; a type that is not here takes the class that tokenizer_config.json names.
var registered = map[string]string{
	"mistral": asItIs, "phi": "GPT2Tokenizer", "gpt2": "GPT2Tokenizer", "gpt_neox": "GPTNeoXTokenizer", "qwen2": "Qwen2Tokenizer",
	"qwen3": "Qwen2Tokenizer", "gemma": "GemmaTokenizer", "gemma2": "GemmaTokenizer", "gemma3": "GemmaTokenizer", "gemma3_text": "GemmaTokenizer",
}

// class is the class that AutoTokenizer takes for a tokenizer_class; one that is not among classes takes
// tokenizer.json as it is.
func (b Beside) class(named string, f *file) string {
	named = strings.TrimSuffix(named, "Fast")
	own := registered[b.ModelType]
	switch {
	case b.ModelType == "qwen2": // whose files are known to name wrong classes
		return own
	case named == "LlamaTokenizer" && f.byteLevel():
		return asItIs
	case named == "", own == asItIs:
		return own
	}
	return named
}

// byteLevel says whether a tokenizer.json works on bytes.
func (f *file) byteLevel() bool {
	return strings.Contains(string(f.PreTokenizer), `"ByteLevel"`) || strings.Contains(string(f.Decoder), `"ByteLevel"`)
}

// differences are what a user of the file alone would not expect, in one line.
func (c tokenizerClass) differences(was, now *file) []string {
	var parts []string
	if !sameJSON(was.Normalizer, now.Normalizer) {
		parts = append(parts, "normalizer")
	}
	if !sameJSON(was.PreTokenizer, now.PreTokenizer) {
		parts = append(parts, "pre_tokenizer")
	}
	if strings.Contains(string(was.PostProcessor), `"TemplateProcessing"`) && isNull(now.PostProcessor) {
		parts = append(parts, "post_processor")
	}
	if parts == nil {
		return nil
	}
	return []string{"the tokenizer's class has its own " + strings.Join(parts, " and ") + ", used in place of tokenizer.json's, as transformers 5 does"}
}

// sameJSON compares two parts of a file; what is only about offsets does not count.
func sameJSON(a, b json.RawMessage) bool {
	plain := func(raw json.RawMessage) string {
		if isNull(raw) {
			return "null"
		}
		var v any
		if json.Unmarshal(raw, &v) != nil {
			return string(raw)
		}
		if m, ok := v.(map[string]any); ok {
			delete(m, "trim_offsets")
			if m["use_regex"] == nil && m["type"] == "ByteLevel" {
				m["use_regex"] = true
			}
		}
		text, _ := json.Marshal(v) // it was JSON
		return string(text)
	}
	return plain(a) == plain(b)
}

func splitGPT2(s *settings) string {
	return fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": %t, "trim_offsets": true, "use_regex": true}`, s.PrefixSpace != nil && *s.PrefixSpace)
}

func splitQwen2(s *settings) string {
	pattern, _ := json.Marshal(qwen2Pattern) // a string
	return fmt.Sprintf(`{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": %s}, "behavior": "Isolated", "invert": false},
		{"type": "ByteLevel", "add_prefix_space": %t, "trim_offsets": true, "use_regex": false}]}`, pattern, s.PrefixSpace != nil && *s.PrefixSpace)
}

func splitLlama(s *settings) string {
	scheme := "first"
	switch {
	case s.PrefixSpace != nil && !*s.PrefixSpace:
		scheme = "never"
	case s.Legacy != nil && *s.Legacy:
		scheme = "always"
	}
	return fmt.Sprintf(`{"type": "Metaspace", "replacement": "▁", "prepend_scheme": %q, "split": false}`, scheme)
}

func splitGemma(*settings) string {
	return `{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}`
}
