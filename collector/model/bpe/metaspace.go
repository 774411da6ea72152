package bpe

import (
	"encoding/json"
	"strings"
)

// mark stands for a space in vocabularies that come from SentencePiece.
const mark = "▁"

// marked writes spaces as marks, with one in front where wanted.
func marked(text string, from []byteSpan, front bool) (string, []byteSpan) {
	text, from = replaced(text, from, " ", mark)
	if front && !strings.HasPrefix(text, mark) {
		return prepended(text, from, mark)
	}
	return text, from
}

// marks splits text for a model of characters.
type marks struct {
	each   bool // before every mark
	runs   bool // before a mark that follows another character
	spaces bool // behind every space
}

// setMarks sets the splitter of a model of characters. Where no merge can join a
// mark to what stands before it, words are split there: the ids are the same, and
// words can be remembered.
func (t *BPE) setMarks(by marks, m *modelFile) error {
	t.characters = true
	by.runs = m.marksBeginWords()
	t.split = by.next
	return nil
}

// next is the length of the first word of text.
func (m marks) next(text string) int {
	for at := 0; at < len(text); {
		switch {
		case text[at] == ' ' && m.spaces:
			return at + 1
		case text[at] != mark[0] || !strings.HasPrefix(text[at:], mark):
			at++
			continue
		}
		inside := at > 0 && !strings.HasSuffix(text[:at], mark)
		if at > 0 && m.each || inside && m.runs {
			return at
		}
		at += len(mark)
	}
	return len(text)
}

// marksBeginWords says whether splitting before a mark that follows another
// character leaves every merge possible: the mark is a token, words are not looked
// up as a whole, and no merge joins something with a mark behind it.
func (m *modelFile) marksBeginWords() bool {
	if _, ok := m.Vocab[mark]; !ok || m.IgnoreMerges {
		return false
	}
	for _, rule := range m.Merges {
		if !strings.HasSuffix(rule[0], mark) && strings.HasPrefix(rule[1], mark) {
			return false
		}
	}
	return true
}

// stripsOne reports whether decoding drops the space in front that encoding put
// there: a decoder Strip, or a Metaspace that prepends.
func stripsOne(raw json.RawMessage) bool {
	var k kind
	if isNull(raw) || json.Unmarshal(raw, &k) != nil {
		return false // how ids were made does not depend on it
	}
	switch k.Type {
	case "Strip":
		return k.Content != nil && *k.Content == " " && k.Start == 1
	case "Metaspace":
		return k.PrependScheme != "never"
	case "Sequence":
		for _, d := range k.Decoders {
			if stripsOne(d) {
				return true
			}
		}
	}
	return false
}
