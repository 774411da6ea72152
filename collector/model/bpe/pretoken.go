package bpe

import (
	"encoding/json"
	"fmt"
)

// setPreTokenizer knows ByteLevel with or without its own pattern, alone or after
// a Split by one of splitPatterns; and for models of characters none, Metaspace
// and a Split behind spaces. A sequence of one is that one.
func (t *BPE) setPreTokenizer(raw json.RawMessage, m *modelFile) error {
	if isNull(raw) {
		return t.setMarks(marks{}, m)
	}
	var k kind
	if err := part(raw, "pre_tokenizer", &k); err != nil {
		return err
	}
	switch {
	case k.Type == "Sequence" && len(k.PreTokenizers) == 1:
		return t.setPreTokenizer(k.PreTokenizers[0], m)
	case k.Type == "Sequence":
		return t.setSplitBytes(k.PreTokenizers, m)
	case k.Type == "ByteLevel":
		return t.setByteLevel(&k, m)
	case k.Type == "Metaspace":
		return t.setMetaspace(&k, m)
	case k.Type == "Split" && k.Pattern.String != nil:
		return t.setSpaces(&k, m)
	}
	return fmt.Errorf("%w: pre_tokenizer %q", ErrUnsupported, k.Type)
}

// setSplitBytes takes a Split by a known pattern and a ByteLevel without one.
func (t *BPE) setSplitBytes(members []json.RawMessage, m *modelFile) error {
	var first, second kind
	names := typesOf(members)
	if len(names) != 2 || names[0] != "Split" || names[1] != "ByteLevel" {
		return fmt.Errorf("%w: pre_tokenizer Sequence %s", ErrUnsupported, names)
	}
	if err := part(members[0], "pre_tokenizer", &first); err != nil {
		return err
	}
	if err := part(members[1], "pre_tokenizer", &second); err != nil {
		return err
	}
	if err := t.setByteLevel(&second, m); err != nil {
		return err
	}
	if second.UseRegex == nil || *second.UseRegex || t.prepare != nil {
		return fmt.Errorf("%w: pre_tokenizer Split before a ByteLevel with use_regex or add_prefix_space", ErrUnsupported)
	}
	return t.setPattern(&first)
}

// setPattern takes a Split by a known pattern. The patterns match every text
// without a gap, so isolating the matches and removing what lies between them are
// the same.
func (t *BPE) setPattern(k *kind) error {
	if k.Pattern.Regex == nil {
		return fmt.Errorf("%w: pre_tokenizer Split before ByteLevel without a regular expression", ErrUnsupported)
	}
	if k.Behavior != "Isolated" && (k.Behavior != "Removed" || !k.Invert) {
		return fmt.Errorf("%w: pre_tokenizer Split with behavior %q, invert %t", ErrUnsupported, k.Behavior, k.Invert)
	}
	split, ok := splitPatterns[*k.Pattern.Regex]
	if !ok {
		return fmt.Errorf("%w: pre_tokenizer Split by the pattern %q", ErrUnsupported, *k.Pattern.Regex)
	}
	t.split = split
	return nil
}

func (t *BPE) setByteLevel(k *kind, m *modelFile) error {
	switch {
	case k.AddPrefixSpace == nil:
		return fmt.Errorf("%w: pre_tokenizer ByteLevel without add_prefix_space", ErrCorrupt)
	case m.ByteFallback:
		return fmt.Errorf("%w: model BPE with byte_fallback behind pre_tokenizer ByteLevel", ErrUnsupported)
	}
	if *k.AddPrefixSpace {
		t.prepare = prefixSpace
	}
	t.split = gpt2
	if k.UseRegex != nil && !*k.UseRegex {
		t.split = func(text string) int { return len(text) }
	}
	return nil
}

func prefixSpace(text string, _ bool) string {
	if text[0] == ' ' {
		return text
	}
	return " " + text
}

// setMetaspace takes both spellings: add_prefix_space of older files, and
// prepend_scheme.
func (t *BPE) setMetaspace(k *kind, m *modelFile) error {
	if k.Replacement != mark {
		return fmt.Errorf("%w: pre_tokenizer Metaspace with replacement %q", ErrUnsupported, k.Replacement)
	}
	if k.AddPrefixSpace != nil && !*k.AddPrefixSpace && k.PrependScheme != "never" {
		return fmt.Errorf("%w: pre_tokenizer Metaspace: add_prefix_space and prepend_scheme contradict each other", ErrCorrupt)
	}
	switch k.PrependScheme {
	case "always", "":
		t.prepare = func(text string, _ bool) string { return marked(text, true) }
	case "first":
		t.prepare = marked
	case "never":
		t.prepare = func(text string, _ bool) string { return marked(text, false) }
	default:
		return fmt.Errorf("%w: pre_tokenizer Metaspace with prepend_scheme %q", ErrUnsupported, k.PrependScheme)
	}
	return t.setMarks(marks{each: k.Split == nil || *k.Split}, m)
}

// setSpaces takes Gemma's Split behind every space.
func (t *BPE) setSpaces(k *kind, m *modelFile) error {
	if *k.Pattern.String != " " || k.Behavior != "MergedWithPrevious" || k.Invert {
		return fmt.Errorf("%w: pre_tokenizer Split by %q with behavior %q, invert %t",
			ErrUnsupported, *k.Pattern.String, k.Behavior, k.Invert)
	}
	return t.setMarks(marks{spaces: true}, m)
}
