package checkpoint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"actfleet/collector/model/gguf"
)

// Types of tokens, with the format's numbers.
const (
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
)

const (
	mark     = "▁"
	maxToken = 4 << 10 // bytes
	maxPiece = 512     // bytes of one of SentencePiece, whose merges are derived in quadratic time of it
)

type object map[string]any

// vocabulary is what a file says about its tokens.
type vocabulary struct {
	tokens []string
	types  []int64
	ids    map[string]int
}

// Tokenizer is the text of a tokenizer.json for the file's vocabulary. A model of
// SentencePiece (tokenizer.ggml.model llama) and BPE with its merges (gpt2, gemma4; with
// a tokenizer.ggml.pre that is among splittings) are known.
func (c *Checkpoint) Tokenizer() ([]byte, error) {
	v, err := readVocabulary(c.file)
	if err != nil {
		return nil, err
	}
	var out object
	switch kind, _ := gguf.Get[string](c.file, "tokenizer.ggml.model"); kind {
	case "llama":
		out, err = v.sentencePiece(c.file)
	case "gpt2", "gemma4":
		out, err = v.merging(c.file)
	default:
		err = fmt.Errorf("%w: tokenizer.ggml.model %q", gguf.ErrUnsupported, kind)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func readVocabulary(f *gguf.File) (v vocabulary, err error) {
	v.tokens, _ = gguf.Get[[]string](f, "tokenizer.ggml.tokens")
	v.types, _ = gguf.Get[[]int64](f, "tokenizer.ggml.token_type")
	if len(v.tokens) == 0 || len(v.types) != len(v.tokens) {
		return v, fmt.Errorf("%w: %d tokens with %d types", gguf.ErrCorrupt, len(v.tokens), len(v.types))
	}
	v.tokens = slices.Clone(v.tokens)
	v.ids = make(map[string]int, len(v.tokens))
	for id, token := range v.tokens {
		if !utf8.ValidString(token) || len(token) > maxToken {
			return v, fmt.Errorf("%w: token %d is no UTF-8 or longer than %d bytes", gguf.ErrCorrupt, id, maxToken)
		}
		if v.types[id] == tokenUser { // the converter writes marks in these as spaces
			token = strings.ReplaceAll(token, " ", mark)
			v.tokens[id] = token
		}
		if other, twice := v.ids[token]; twice {
			return v, fmt.Errorf("%w: tokens %d and %d are both %q", gguf.ErrCorrupt, other, id, token)
		}
		v.ids[token] = id
	}
	return v, nil
}

// added lists the tokens that are found before anything else. Those with marks in them
// come about by merges (see there), since the text has spaces where they have marks.
func (v vocabulary) added() []object {
	out := []object{}
	for id, kind := range v.types {
		if kind == tokenUnknown || kind == tokenControl || kind == tokenUser && !strings.Contains(v.tokens[id], mark) {
			out = append(out, object{"id": id, "content": v.tokens[id], "special": kind != tokenUser, "normalized": false,
				"lstrip": false, "rstrip": false, "single_word": false})
		}
	}
	return out
}

// template puts the beginning, the end and the separator token around a text, where the file says so.
func (v vocabulary) template(f *gguf.File, s splitting) (any, error) {
	items, special := []object{{"Sequence": object{"id": "A", "type_id": 0}}}, object{}
	for _, end := range []struct {
		key, flag string
		add       bool
		at        func() int
	}{
		{"tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token", s.begins, func() int { return 0 }},
		{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token", false, func() int { return len(items) }},
		{"tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token", s.separates, func() int { return len(items) }},
	} {
		if flag, ok := gguf.Get[bool](f, end.flag); ok {
			end.add = flag
		}
		if !end.add {
			continue
		}
		id, ok := gguf.Get[int64](f, end.key)
		if !ok || id < 0 || id >= int64(len(v.tokens)) {
			return nil, fmt.Errorf("%w: %s is asked for and %s names no token", gguf.ErrCorrupt, end.flag, end.key)
		}
		name := v.tokens[id]
		items = slices.Insert(items, end.at(), object{"SpecialToken": object{"id": name, "type_id": 0}})
		special[name] = object{"id": name, "ids": []int64{id}, "tokens": []string{name}}
	}
	return object{"type": "TemplateProcessing", "single": items, "pair": []object{}, "special_tokens": special}, nil
}

// merging has its merges in the file, and a name for what comes before them.
func (v vocabulary) merging(f *gguf.File) (object, error) {
	merges, _ := gguf.Get[[]string](f, "tokenizer.ggml.merges")
	pre, named := gguf.Get[string](f, "tokenizer.ggml.pre")
	s, ok := splittings[pre]
	switch {
	case !named:
		return nil, fmt.Errorf("%w: no tokenizer.ggml.pre, so nothing says how text is split; convert the model again with a newer llama.cpp",
			gguf.ErrUnsupported)
	case !ok:
		return nil, fmt.Errorf("%w: tokenizer.ggml.pre %q", gguf.ErrUnsupported, pre)
	}
	model := object{"type": "BPE", "vocab": v.ids, "merges": merges, "ignore_merges": s.whole}
	out := object{"version": "1.0", "added_tokens": v.added(), "model": model, "decoder": object{"type": "ByteLevel"}}
	if s.nfc {
		out["normalizer"] = object{"type": "NFC"}
	}
	if s.characters {
		v.marks(out, model)
	} else {
		out["pre_tokenizer"] = s.bytes()
	}
	var err error
	out["post_processor"], err = v.template(f, s)
	return out, err
}

// marks makes a tokenizer of characters: spaces are marks, and what has no token falls apart into bytes.
func (v vocabulary) marks(out, model object) {
	model["byte_fallback"], model["fuse_unk"] = true, true
	out["normalizer"] = object{"type": "Replace", "pattern": object{"String": " "}, "content": mark}
	out["pre_tokenizer"] = object{"type": "Split", "pattern": object{"String": " "}, "behavior": "MergedWithPrevious", "invert": false}
	out["decoder"] = object{"type": "Sequence", "decoders": []object{{"type": "Replace", "pattern": object{"String": mark}, "content": " "},
		{"type": "ByteFallback"}, {"type": "Fuse"}}}
}

// bytes is the pre_tokenizer: every pattern, and then bytes.
func (s splitting) bytes() any {
	last := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": len(s.patterns) == 0}
	if len(s.patterns) == 0 {
		return last
	}
	all := append(splits(s.patterns), last)
	return object{"type": "Sequence", "pretokenizers": append(all, splits(s.spelled)...)}
}

func splits(patterns []string) (all []object) {
	for _, p := range patterns {
		all = append(all, object{"type": "Split", "pattern": object{"Regex": p}, "behavior": "Isolated", "invert": false})
	}
	return all
}

// sentencePiece has scores, of which the merges follow.
func (v vocabulary) sentencePiece(f *gguf.File) (object, error) {
	scores, _ := gguf.Get[[]float64](f, "tokenizer.ggml.scores")
	if len(scores) != len(v.tokens) {
		return nil, fmt.Errorf("%w: %d tokens with %d scores", gguf.ErrCorrupt, len(v.tokens), len(scores))
	}
	for id, token := range v.tokens {
		if len(token) > maxPiece {
			return nil, fmt.Errorf("%w: token %d is longer than %d bytes", gguf.ErrCorrupt, id, maxPiece)
		}
	}
	model := object{"type": "BPE", "vocab": v.ids, "merges": v.merges(scores), "byte_fallback": true, "fuse_unk": true}
	if id := slices.Index(v.types, tokenUnknown); id >= 0 {
		model["unk_token"] = v.tokens[id]
	}
	steps := []object{{"type": "Replace", "pattern": object{"String": " "}, "content": mark}}
	back := []object{{"type": "Replace", "pattern": object{"String": mark}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if front, ok := gguf.Get[bool](f, "tokenizer.ggml.add_space_prefix"); front || !ok {
		steps = slices.Insert(steps, 0, object{"type": "Prepend", "prepend": mark})
		back = append(back, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	template, err := v.template(f, splitting{begins: true})
	return object{"version": "1.0", "added_tokens": v.added(), "model": model, "post_processor": template, "pre_tokenizer": nil,
		"normalizer": object{"type": "Sequence", "normalizers": steps}, "decoder": object{"type": "Sequence", "decoders": back}}, err
}

// merges are all ways to make a token of two, by falling score of the token, the
// longer first part first: transformers, convert_slow_tokenizer.py, generate_merges.
// Tokens of the user's come before all, by number: SentencePiece finds them in the text
// before it merges (Gemma's runs of spaces, whose scores say nothing).
func (v vocabulary) merges(scores []float64) [][2]string {
	type way struct {
		id, at, left int
	}
	var ways []way
	for id, token := range v.tokens {
		left := 0
		for at := range token {
			_, okLeft := v.ids[token[:at]]
			_, okRight := v.ids[token[at:]]
			if at > 0 && okLeft && okRight {
				ways = append(ways, way{id, at, left})
			}
			left++
		}
	}
	users := func(w way) bool { return v.types[w.id] == tokenUser }
	slices.SortStableFunc(ways, func(a, b way) int {
		switch {
		case users(a) && users(b):
			return cmp.Or(a.id-b.id, b.left-a.left)
		case users(a):
			return -1
		case users(b):
			return 1
		case scores[a.id] > scores[b.id]:
			return -1
		case scores[a.id] < scores[b.id]:
			return 1
		case a.left != b.left:
			return b.left - a.left
		}
		return utf8.RuneCountInString(v.tokens[b.id]) - utf8.RuneCountInString(v.tokens[a.id])
	})
	out := make([][2]string, len(ways))
	for i, w := range ways {
		out[i] = [2]string{v.tokens[w.id][:w.at], v.tokens[w.id][w.at:]}
	}
	return out
}
