package bpe

import (
	"encoding/json"
	"fmt"
)

// templateItem is one place of a TemplateProcessing: the text or special ids.
type templateItem struct {
	Sequence     *struct{ ID string } `json:"Sequence"`
	SpecialToken *struct{ ID string } `json:"SpecialToken"`
}

// setPostProcessor knows null, ByteLevel (which moves spans only),
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
		if k.TrimOffsets == nil || *k.TrimOffsets {
			t.trims = append(t.trims, trim{keepFirst: k.AddPrefixSpace == nil || *k.AddPrefixSpace})
		}
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
