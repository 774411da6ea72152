package bpe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Beside are the files that lie beside a tokenizer.json and change what it does, as transformers' AutoTokenizer reads
// them; nil for one that is not there.
type Beside struct {
	Config      []byte // tokenizer_config.json
	AddedTokens []byte // added_tokens.json, of old saves
	SpecialMap  []byte // special_tokens_map.json
	ModelType   string // model_type of config.json
}

// settings is tokenizer_config.json as far as it is read.
type settings struct {
	Class       string                `json:"tokenizer_class"`
	AddedTokens map[string]addedToken `json:"added_tokens_decoder"`
	Extra       json.RawMessage       `json:"extra_special_tokens"`
	Additional  json.RawMessage       `json:"additional_special_tokens"`
	SplitSpec   bool                  `json:"split_special_tokens"`
	PrefixSpace *bool                 `json:"add_prefix_space"`
	Legacy      *bool                 `json:"legacy"`

	named map[string]addedToken // bos_token and the like, by key; empty where a file says that there is none
	order []string              // the keys of named that are no namedKeys, as they came
	extra []addedToken
	again bool // special tokens are added once more, as their contents alone
}

// namedKeys are the special tokens that every tokenizer may have, in the order in which they are added.
var namedKeys = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// ParseBeside is Parse of a tokenizer.json together with the files beside it.
func ParseBeside(text []byte, b Beside) (*BPE, error) {
	if b.Config == nil && b.AddedTokens == nil && b.SpecialMap == nil {
		return Parse(text)
	}
	f, m, err := read(text)
	if err != nil {
		return nil, err
	}
	s, err := b.settings(f)
	if err != nil {
		return nil, err
	}
	var notes []string
	if class, ok := classes[b.class(s.Class, f)]; ok {
		notes = class.rebuild(f, m, s)
	}
	s.merge(f, m)
	t, err := build(f, m)
	if err != nil {
		return nil, err
	}
	t.notes = notes
	return t, nil
}

// settings reads the files, and the tokens that tokenizer.json adds where tokenizer_config.json lists none.
func (b Beside) settings(f *file) (*settings, error) {
	s := &settings{named: map[string]addedToken{}}
	if b.Config != nil {
		if err := s.read("tokenizer_config.json", b.Config); err != nil {
			return nil, err
		}
	}
	if s.AddedTokens != nil {
		return s, s.link()
	}
	s.AddedTokens = map[string]addedToken{}
	if b.SpecialMap != nil {
		if err := s.read("special_tokens_map.json", b.SpecialMap); err != nil {
			return nil, err
		}
	}
	if b.AddedTokens != nil {
		if err := s.readAdded(b.AddedTokens); err != nil {
			return nil, err
		}
	}
	for _, t := range f.AddedTokens {
		s.AddedTokens[strconv.Itoa(int(t.ID))] = t
	}
	return s, s.link()
}

// read takes over what one file says: named special tokens, extra ones, and switches.
func (s *settings) read(name string, text []byte) error {
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("%w: %s: %s", ErrCorrupt, name, inWords(err))
	}
	keys, all := inOrder(text)
	for _, key := range keys {
		raw := all[key]
		t, err := specialToken(raw)
		switch named := slices.Contains(namedKeys, key); {
		case named && isNull(raw):
			s.named[key] = addedToken{}
		case named && err != nil:
			return fmt.Errorf("%w: %s: %s is no token", ErrCorrupt, name, key)
		case err == nil && strings.HasSuffix(key, "_token") && !isNull(raw):
			s.name(key, t)
		}
	}
	extra := s.Extra
	if isNull(extra) || string(extra) == "[]" || string(extra) == "{}" {
		extra = s.Additional
	}
	if err := s.readExtra(extra); err != nil {
		return fmt.Errorf("%w: %s: extra_special_tokens (additional_special_tokens) is neither a list nor an object of tokens", ErrCorrupt, name)
	}
	s.Extra, s.Additional = nil, nil
	return nil
}

// readExtra reads a list of tokens, or an object of named ones.
func (s *settings) readExtra(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, r := range list {
			t, err := specialToken(r)
			if err != nil {
				return err
			}
			s.extra = append(s.extra, t)
		}
		return nil
	}
	keys, byName := inOrder(raw)
	if byName == nil {
		return fmt.Errorf("neither a list nor an object")
	}
	for _, key := range keys {
		t, err := specialToken(byName[key])
		if err != nil {
			return err
		}
		s.name(key, t)
	}
	return nil
}

// name records a named token.
func (s *settings) name(key string, t addedToken) {
	if _, there := s.named[key]; !there && !slices.Contains(namedKeys, key) {
		s.order = append(s.order, key)
	}
	s.named[key] = t
}

// inOrder are the members of a JSON object, and their keys as they come; nothing for what is no object.
func inOrder(text []byte) (keys []string, members map[string]json.RawMessage) {
	if json.Unmarshal(text, &members) != nil || members == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token() // the brace; the text has been checked
	for d.More() {
		key, _ := d.Token()
		name, _ := key.(string)
		var value json.RawMessage
		_ = d.Decode(&value)
		if !slices.Contains(keys, name) {
			keys = append(keys, name)
		}
	}
	return keys, members
}

// readAdded reads added_tokens.json: contents with their ids.
func (s *settings) readAdded(text []byte) error {
	var ids map[string]int32
	if err := json.Unmarshal(text, &ids); err != nil {
		return fmt.Errorf("%w: added_tokens.json: %s", ErrCorrupt, inWords(err))
	}
	special := map[string]bool{}
	for key, t := range s.named {
		special[t.Content] = slices.Contains(namedKeys, key)
	}
	for _, t := range s.extra {
		special[t.Content] = true
	}
	for content, id := range ids {
		s.AddedTokens[strconv.Itoa(int(id))] = addedToken{ID: id, Content: content, Special: special[content], Normalized: !special[content]}
	}
	return nil
}

// link gives the listed tokens their ids, and the named ones the properties that the list says they have.
func (s *settings) link() error {
	byContent := map[string]addedToken{}
	for key, t := range s.AddedTokens {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return fmt.Errorf("%w: tokenizer_config.json: added_tokens_decoder has the id %q", ErrCorrupt, key)
		}
		t.ID = int32(id)
		s.AddedTokens[key], byContent[t.Content] = t, t
	}
	for _, key := range namedKeys {
		if t, ok := byContent[s.named[key].Content]; ok && s.named[key].Content != "" {
			s.named[key] = t
		}
	}
	return nil
}

// merge adds the tokens that the settings name: the listed ones in the order of their ids, then the special ones that
// are not there yet. A token that is there gets the properties of the later one; a new one gets the next free id,
// whatever id the list gives it, as in transformers.
func (s *settings) merge(f *file, m *modelFile) {
	list := slices.SortedFunc(maps.Values(s.AddedTokens), func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	for _, t := range list {
		add(f, m, t)
	}
	var special []addedToken
	for _, key := range append(slices.Clone(namedKeys), s.order...) {
		t := s.named[key]
		t.Special = true
		special = append(special, t)
	}
	special = append(special, s.extra...)
	for _, t := range special {
		if s.again {
			t = addedToken{Content: t.Content, Special: true}
		}
		if s.again || !slices.ContainsFunc(f.AddedTokens, func(have addedToken) bool { return have.Content == t.Content }) {
			add(f, m, t)
		}
	}
	if !s.SplitSpec {
		return
	}
	for i := range f.AddedTokens {
		f.AddedTokens[i].Passed = f.AddedTokens[i].Special
	}
}

// add puts one token among those of the file.
func add(f *file, m *modelFile, t addedToken) {
	if t.Content == "" {
		return
	}
	next := int32(len(m.Vocab))
	for i, have := range f.AddedTokens {
		if have.Content == t.Content {
			t.ID = have.ID
			f.AddedTokens[i] = t
			return
		}
		next = max(next, have.ID+1)
	}
	t.ID = next
	if id, ok := m.Vocab[t.Content]; ok {
		t.ID = id
	}
	f.AddedTokens = append(f.AddedTokens, t)
}

// specialToken reads a token as tokenizer_config.json has it: its content, or an object.
func specialToken(raw json.RawMessage) (t addedToken, err error) {
	if err = json.Unmarshal(raw, &t.Content); err == nil {
		t.Special = true
		return t, nil
	}
	var flags struct {
		Content    *string `json:"content"`
		Normalized *bool   `json:"normalized"`
	}
	if err = json.Unmarshal(raw, &flags); err != nil {
		return t, err
	}
	if err = json.Unmarshal(raw, &t); err == nil && flags.Content == nil {
		err = fmt.Errorf("no content")
	}
	if flags.Normalized == nil {
		t.Normalized = !t.Special
	}
	return t, err
}

// rebuild makes of a file what the class makes of it, and says what it changed.
func (c tokenizerClass) rebuild(f *file, m *modelFile, s *settings) (notes []string) {
	was := *f
	f.Normalizer, f.PreTokenizer, f.AddedTokens = json.RawMessage(c.normalizer), json.RawMessage(c.split(s)), nil
	if !c.template {
		f.PostProcessor = nil
	}
	for key, content := range c.defaults {
		if _, named := s.named[key]; !named {
			s.name(key, addedToken{Content: content, Special: true})
		}
	}
	m.ByteFallback, m.FuseUnk, m.IgnoreMerges, m.Unk = c.characters, c.characters, false, nil
	if unk := s.named["unk_token"].Content; c.unk {
		if _, ok := m.Vocab[unk]; ok {
			m.Unk = &unk
		}
	}
	s.again = c.all
	return c.differences(&was, f)
}
