package bpe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"actfleet/internal/smallfile"
)

// What is wrong with a file.
var (
	// ErrUnsupported says that a file is well-formed and asks for something this
	// package does not do; the message names it.
	ErrUnsupported = errors.New("unsupported tokenizer")
	// ErrCorrupt says that a file contradicts itself or is no tokenizer.json.
	ErrCorrupt = errors.New("corrupt tokenizer")
)

// Bounds of a file, far above real ones (Gemma: 33 MB, 262,145 tokens).
const (
	maxFile   = 256 << 20 // bytes
	maxBeside = 32 << 20  // bytes of a file beside it
	maxID     = 1 << 22
)

// file is tokenizer.json as far as it is read.
type file struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// modelFile is the model part of the file.
type modelFile struct {
	Type         string           `json:"type"`
	Dropout      float64          `json:"dropout"`
	Unk          *string          `json:"unk_token"`
	Prefix       string           `json:"continuing_subword_prefix"`
	Suffix       string           `json:"end_of_word_suffix"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []mergeRule      `json:"merges"`
}

// mergeRule is one merge in either spelling: "a b" or ["a", "b"].
type mergeRule [2]string

// UnmarshalJSON reads both spellings.
func (m *mergeRule) UnmarshalJSON(text []byte) error {
	var parts []string
	if bytes.HasPrefix(text, []byte(`"`)) {
		var line string
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		parts = strings.Split(line, " ")
	} else if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("merge %q: want two tokens", parts)
	}
	*m = mergeRule(parts)
	return nil
}

// Load reads a tokenizer.json alone. Errors name the path and are ErrUnsupported,
// ErrCorrupt, or what the file system says.
func Load(path string) (*BPE, error) {
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	t, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// LoadDir reads the tokenizer.json of a directory and the files beside it, as ParseBeside does, for a model_type.
// Errors name the path and are ErrUnsupported, ErrCorrupt, or what the file system says.
func LoadDir(dir, modelType string) (*BPE, error) {
	path := filepath.Join(dir, "tokenizer.json")
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	b := Beside{ModelType: modelType}
	for name, into := range map[string]*[]byte{
		"tokenizer_config.json": &b.Config, "added_tokens.json": &b.AddedTokens, "special_tokens_map.json": &b.SpecialMap,
	} {
		if *into, err = smallfile.Read(filepath.Join(dir, name), maxBeside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	t, err := ParseBeside(text, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse reads the text of a tokenizer.json.
func Parse(text []byte) (*BPE, error) {
	f, m, err := read(text)
	if err != nil {
		return nil, err
	}
	return build(f, m)
}

func read(text []byte) (*file, *modelFile, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrCorrupt, inWords(err))
	}
	var m modelFile
	if err := part(f.Model, "model", &m); err != nil {
		return nil, nil, err
	}
	return &f, &m, m.check()
}

// build makes the tokenizer of what was read.
func build(f *file, m *modelFile) (*BPE, error) {
	t := &BPE{vocab: m.Vocab, added: map[string]int32{}, special: map[int32]bool{}}
	if err := t.setNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if err := t.setPreTokenizer(f.PreTokenizer, m); err != nil {
		return nil, err
	}
	if err := t.setModel(m); err != nil {
		return nil, err
	}
	if err := t.setAdded(f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.setPostProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	t.stripOne = stripsOne(f.Decoder)
	return t, nil
}

// inWords is why JSON could not be read.
func inWords(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "":
		return "a JSON " + wrong.Value + " stands where an object {…} is wanted"
	case errors.As(err, &wrong):
		return wrong.Field + " is a JSON " + wrong.Value + ", which it cannot be"
	}
	return err.Error()
}

// part reads one part of the file; one that is absent or null is an error.
func part(raw json.RawMessage, name string, into any) error {
	if isNull(raw) {
		return fmt.Errorf("%w: no %s", ErrCorrupt, name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %s: %s", ErrCorrupt, name, inWords(err))
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// check refuses models and model options other than BPE's.
func (m *modelFile) check() error {
	switch {
	case m.Type != "BPE" && m.Type != "": // files before 2020 leave the type out
		return fmt.Errorf("%w: model %q", ErrUnsupported, m.Type)
	case m.Dropout != 0:
		return fmt.Errorf("%w: model BPE with dropout %g", ErrUnsupported, m.Dropout)
	case m.Prefix != "":
		return fmt.Errorf("%w: model BPE with continuing_subword_prefix %q", ErrUnsupported, m.Prefix)
	case m.Suffix != "":
		return fmt.Errorf("%w: model BPE with end_of_word_suffix %q", ErrUnsupported, m.Suffix)
	case len(m.Vocab) == 0:
		return fmt.Errorf("%w: model without vocab", ErrCorrupt)
	}
	return nil
}

// setAdded places the added tokens. The reference derives ids from the order of
// the tokens and ignores what the file says; a file where the two differ is
// refused.
func (t *BPE) setAdded(tokens []addedToken) error {
	t.verbatim, t.normalized = newFinder(), newFinder()
	next := int32(len(t.vocab))
	for i := range tokens {
		a := &tokens[i]
		if a.Content == "" {
			continue
		}
		if _, twice := t.added[a.Content]; twice {
			return fmt.Errorf("%w: added token %q is given twice", ErrCorrupt, a.Content)
		}
		want, inVocab := t.vocab[a.Content]
		if !inVocab {
			want = next
			next++
		}
		if a.ID != want {
			return fmt.Errorf("%w: added token %q has id %d, and its place is %d", ErrCorrupt, a.Content, a.ID, want)
		}
		if inVocab {
			t.pieces[a.ID] = t.addedPiece(a)
		} else if err := t.place(a.ID, a.Content, t.addedPiece(a)); err != nil {
			return err
		}
		t.added[a.Content] = a.ID
		if a.Special {
			t.special[a.ID] = true
		}
		if err := t.setFinder(a); err != nil {
			return err
		}
	}
	return nil
}

// setModel builds the tables of ids, bytes and merges.
func (t *BPE) setModel(m *modelFile) error {
	piece := unspell
	if t.characters {
		piece = m.pieceOf
	}
	for token, id := range m.Vocab {
		if err := t.place(id, token, piece(token)); err != nil {
			return err
		}
	}
	pairs, err := m.pairs()
	if err != nil {
		return err
	}
	t.model = model{unk: none, fuseUnk: m.FuseUnk, pairs: newPairTable(pairs)}
	if m.Unk != nil {
		id, ok := m.Vocab[*m.Unk]
		if !ok {
			return fmt.Errorf("%w: unk_token %q is not in the vocabulary", ErrCorrupt, *m.Unk)
		}
		t.model.unk = id
	}
	t.model.setAlphabet(m, t.characters)
	return nil
}
