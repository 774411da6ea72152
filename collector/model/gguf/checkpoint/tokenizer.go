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

// The split patterns behind tokenizer.ggml.pre.
const (
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

type object map[string]any

// vocabulary is what a file says about its tokens.
type vocabulary struct {
	tokens []string
	types  []int64
	ids    map[string]int
}

// Tokenizer is the text of a tokenizer.json for the file's vocabulary. A model of
// SentencePiece (tokenizer.ggml.model llama) and byte-level BPE (gpt2, with
// tokenizer.ggml.pre gpt-2, phi-2, llama-bpe or qwen2) are known.
func (c *Checkpoint) Tokenizer() ([]byte, error) {
	v, err := readVocabulary(c.file)
	if err != nil {
		return nil, err
	}
	var out object
	switch kind, _ := gguf.Get[string](c.file, "tokenizer.ggml.model"); kind {
	case "llama":
		out, err = v.sentencePiece(c.file)
	case "gpt2":
		out, err = v.byteLevel(c.file)
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

// template puts the beginning and the end token around a text, where the file says so.
func (v vocabulary) template(f *gguf.File, begins bool) (any, error) {
	items, special := []object{{"Sequence": object{"id": "A", "type_id": 0}}}, object{}
	for _, end := range []struct {
		key, flag string
		add       bool
		at        func() int
	}{
		{"tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token", begins, func() int { return 0 }},
		{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token", false, func() int { return len(items) }},
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

// byteLevel has its merges in the file.
func (v vocabulary) byteLevel(f *gguf.File) (object, error) {
	merges, _ := gguf.Get[[]string](f, "tokenizer.ggml.merges")
	pre, _ := gguf.Get[string](f, "tokenizer.ggml.pre")
	model := object{"type": "BPE", "vocab": v.ids, "merges": merges, "ignore_merges": pre == "llama-bpe"}
	out := object{"version": "1.0", "added_tokens": v.added(), "model": model, "decoder": object{"type": "ByteLevel"}}
	switch pre {
	case "gpt-2", "phi-2":
		out["pre_tokenizer"] = bytesAfter("")
	case "llama-bpe":
		out["pre_tokenizer"] = bytesAfter(llama3Pattern)
	case "qwen2":
		out["normalizer"], out["pre_tokenizer"] = object{"type": "NFC"}, bytesAfter(qwen2Pattern)
	default:
		return nil, fmt.Errorf("%w: tokenizer.ggml.pre %q", gguf.ErrUnsupported, pre)
	}
	var err error
	out["post_processor"], err = v.template(f, pre == "llama-bpe")
	return out, err
}

func bytesAfter(pattern string) object {
	bytes := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": pattern == ""}
	if pattern == "" {
		return bytes
	}
	split := object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false}
	return object{"type": "Sequence", "pretokenizers": []object{split, bytes}}
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
	template, err := v.template(f, true)
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
