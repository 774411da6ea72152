package bpe

import (
	"encoding/json"
	"fmt"
)

// kind is what every part of the pipeline has, with the options of those that are
// read here.
type kind struct {
	Type           string            `json:"type"`
	Normalizers    []json.RawMessage `json:"normalizers"`
	PreTokenizers  []json.RawMessage `json:"pretokenizers"`
	Processors     []json.RawMessage `json:"processors"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
	UseRegex       *bool             `json:"use_regex"`
	Single         []templateItem    `json:"single"`
	SpecialTokens  map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

// templateItem is one place of a TemplateProcessing: the text or special ids.
type templateItem struct {
	Sequence     *struct{ ID string } `json:"Sequence"`
	SpecialToken *struct{ ID string } `json:"SpecialToken"`
}

// setNormalizer knows null, NFC, and a sequence of these.
func (t *BPE) setNormalizer(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var k kind
	if err := part(raw, "normalizer", &k); err != nil {
		return err
	}
	switch k.Type {
	case "NFC": // twice is the same as once
		t.normalise = nfc
		return nil
	case "Sequence":
		return each(k.Normalizers, t.setNormalizer)
	}
	return fmt.Errorf("%w: normalizer %q", ErrUnsupported, k.Type)
}

// each goes through the members of a sequence.
func each(members []json.RawMessage, set func(json.RawMessage) error) error {
	for _, m := range members {
		if err := set(m); err != nil {
			return err
		}
	}
	return nil
}

// setPreTokenizer knows ByteLevel with or without its own pattern, alone or as
// the only member of a sequence. Further split patterns go here.
func (t *BPE) setPreTokenizer(raw json.RawMessage) error {
	if isNull(raw) {
		return fmt.Errorf("%w: no pre_tokenizer (byte-level BPE has ByteLevel)", ErrUnsupported)
	}
	var k kind
	if err := part(raw, "pre_tokenizer", &k); err != nil {
		return err
	}
	switch {
	case k.Type == "Sequence" && len(k.PreTokenizers) == 1:
		return t.setPreTokenizer(k.PreTokenizers[0])
	case k.Type == "Sequence":
		return fmt.Errorf("%w: pre_tokenizer Sequence %s", ErrUnsupported, typesOf(k.PreTokenizers))
	case k.Type != "ByteLevel":
		return fmt.Errorf("%w: pre_tokenizer %q", ErrUnsupported, k.Type)
	case k.AddPrefixSpace == nil:
		return fmt.Errorf("%w: pre_tokenizer ByteLevel without add_prefix_space", ErrCorrupt)
	}
	t.prefixSpace = *k.AddPrefixSpace
	t.split = gpt2
	if k.UseRegex != nil && !*k.UseRegex {
		t.split = func(text string) int { return len(text) }
	}
	return nil
}

// typesOf names the members of a sequence for an error.
func typesOf(members []json.RawMessage) []string {
	var names []string
	for _, m := range members {
		var k struct{ Type string }
		_ = json.Unmarshal(m, &k) // an unreadable member has no name
		names = append(names, k.Type)
	}
	return names
}

// setPostProcessor knows null, ByteLevel (which moves offsets only),
// TemplateProcessing, and a sequence of these.
func (t *BPE) setPostProcessor(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var k kind
	if err := part(raw, "post_processor", &k); err != nil {
		return err
	}
	switch k.Type {
	case "ByteLevel":
		return nil
	case "Sequence":
		return each(k.Processors, t.setPostProcessor)
	case "TemplateProcessing":
		return t.setTemplate(&k)
	}
	return fmt.Errorf("%w: post_processor %q", ErrUnsupported, k.Type)
}

// setTemplate reads the template for a single text, which holds the text once.
func (t *BPE) setTemplate(k *kind) error {
	if t.before != nil || t.after != nil {
		return fmt.Errorf("%w: two post_processors TemplateProcessing", ErrUnsupported)
	}
	texts := 0
	for _, item := range k.Single {
		if item.Sequence != nil {
			texts++
			continue
		}
		if item.SpecialToken == nil {
			return fmt.Errorf("%w: post_processor TemplateProcessing: unknown item", ErrCorrupt)
		}
		special, ok := k.SpecialTokens[item.SpecialToken.ID]
		if !ok {
			return fmt.Errorf("%w: post_processor TemplateProcessing: no ids for %q", ErrCorrupt, item.SpecialToken.ID)
		}
		if err := t.checkIDs(special.IDs); err != nil {
			return err
		}
		if texts == 0 {
			t.before = append(t.before, special.IDs...)
		} else {
			t.after = append(t.after, special.IDs...)
		}
	}
	if texts != 1 {
		return fmt.Errorf("%w: post_processor TemplateProcessing with the text %d times", ErrUnsupported, texts)
	}
	return nil
}

// checkIDs demands that every id has a token.
func (t *BPE) checkIDs(ids []int32) error {
	for _, id := range ids {
		if t.piece(id) == "" {
			return fmt.Errorf("%w: post_processor TemplateProcessing: no token has id %d", ErrCorrupt, id)
		}
	}
	return nil
}
