package bpe

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is what every part of the pipeline has, with the options of those that are
// read here.
type kind struct {
	Type           string            `json:"type"`
	Normalizers    []json.RawMessage `json:"normalizers"`
	PreTokenizers  []json.RawMessage `json:"pretokenizers"`
	Processors     []json.RawMessage `json:"processors"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
	TrimOffsets    *bool             `json:"trim_offsets"`
	UseRegex       *bool             `json:"use_regex"`
	PrependScheme  string            `json:"prepend_scheme"` // of Metaspace: always (or absent), first, never
	Replacement    string            `json:"replacement"`
	Split          *bool             `json:"split"`
	Individual     bool              `json:"individual_digits"`
	Behavior       string            `json:"behavior"`
	Invert         bool              `json:"invert"`
	Pattern        pattern           `json:"pattern"`
	Prepend        *string           `json:"prepend"`
	Content        *string           `json:"content"`
	Start          int               `json:"start"`
	Decoders       []json.RawMessage `json:"decoders"`
	Single         []templateItem    `json:"single"`
	SpecialTokens  map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

// pattern is what Split and Replace look for.
type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// setNormalizer knows null, NFC, Prepend, Replace of a plain text, and a sequence
// of these.
func (t *BPE) setNormalizer(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var k kind
	if err := part(raw, "normalizer", &k); err != nil {
		return err
	}
	switch k.Type {
	case "NFC":
		t.then(nfc, nfcTrace)
		return nil
	case "Prepend":
		return t.setPrepend(&k)
	case "Replace":
		return t.setReplace(&k)
	case "Sequence":
		return each(k.Normalizers, t.setNormalizer)
	}
	return fmt.Errorf("%w: normalizer %q", ErrUnsupported, k.Type)
}

// then adds a step to the normaliser, and its trace.
func (t *BPE) then(step normaliser, traced trace) {
	t.traces = append(t.traces, traced)
	before := t.normalise
	if before == nil {
		t.normalise = step
		return
	}
	t.normalise = func(text string) string { return step(before(text)) }
}

func (t *BPE) setPrepend(k *kind) error {
	if k.Prepend == nil {
		return fmt.Errorf("%w: normalizer Prepend without prepend", ErrCorrupt)
	}
	front := *k.Prepend
	t.then(func(text string) string {
		if text == "" {
			return text
		}
		return front + text
	}, func(text string, from []byteSpan) (string, []byteSpan) { return prepended(text, from, front) })
	return nil
}

func (t *BPE) setReplace(k *kind) error {
	switch {
	case k.Pattern.Regex != nil:
		return fmt.Errorf("%w: normalizer Replace of the regular expression %q", ErrUnsupported, *k.Pattern.Regex)
	case k.Pattern.String == nil || *k.Pattern.String == "" || k.Content == nil:
		return fmt.Errorf("%w: normalizer Replace without pattern or content", ErrCorrupt)
	}
	from, to := *k.Pattern.String, *k.Content
	t.then(func(text string) string { return strings.ReplaceAll(text, from, to) },
		func(text string, spans []byteSpan) (string, []byteSpan) { return replaced(text, spans, from, to) })
	return nil
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

// nfc is Unicode's canonical composition as of Unicode 9, the reference's: later
// combining characters (newMarks) are characters like others, so nothing is
// ordered or composed across them. Bytes that are no UTF-8 stay.
func nfc(text string) string {
	at := strings.IndexFunc(text, isNewMark)
	if at < 0 {
		return nfcKnown(text)
	}
	var out strings.Builder
	for at >= 0 {
		_, n := utf8.DecodeRuneInString(text[at:])
		out.WriteString(nfcKnown(text[:at]))
		out.WriteString(text[at : at+n])
		text = text[at+n:]
		at = strings.IndexFunc(text, isNewMark)
	}
	out.WriteString(nfcKnown(text))
	return out.String()
}
