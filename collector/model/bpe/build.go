package bpe

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// setAlphabet finds the ids of single bytes or characters, and of whole words
// where the file asks for them.
func (m *model) setAlphabet(f *modelFile, characters bool) {
	spelling := func(b byte) string { return string(byteRune[b]) }
	if characters {
		m.chars = newCharTable(f.Vocab)
		spelling = func(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
	}
	for b := range m.byteID {
		m.byteID[b] = none
		if id, ok := f.Vocab[spelling(byte(b))]; ok && (!characters || f.ByteFallback) {
			m.byteID[b] = id
		}
	}
	switch {
	case f.IgnoreMerges && characters:
		m.whole = f.Vocab
	case f.IgnoreMerges:
		m.whole = wholeWords(f.Vocab)
	}
}

// place records the bytes of an id.
func (t *BPE) place(id int32, token, piece string) error {
	if id < 0 || id >= maxID {
		return fmt.Errorf("%w: token %q has id %d", ErrCorrupt, token, id)
	}
	for int(id) >= len(t.pieces) {
		t.pieces = append(t.pieces, "")
	}
	if t.pieces[id] != "" {
		return fmt.Errorf("%w: tokens %q and %q share id %d", ErrCorrupt, t.pieces[id], token, id)
	}
	t.pieces[id] = piece
	return nil
}

// pairs looks up the merges in the vocabulary. Of a pair given twice the later
// counts, as in the reference.
func (m *modelFile) pairs() (map[pair]merge, error) {
	pairs := make(map[pair]merge, len(m.Merges))
	for rank, rule := range m.Merges {
		a, okA := m.Vocab[rule[0]]
		b, okB := m.Vocab[rule[1]]
		id, ok := m.Vocab[rule[0]+rule[1]]
		if !okA || !okB || !ok {
			return nil, fmt.Errorf("%w: merge %d (%q, %q): a token of it is not in the vocabulary", ErrCorrupt, rank, rule[0], rule[1])
		}
		pairs[pair{a, b}] = merge{int32(rank), id}
	}
	return pairs, nil
}

// wholeWords is the vocabulary by raw bytes, for ignore_merges: a word that is a
// token is taken as it is.
func wholeWords(vocab map[string]int32) map[string]int32 {
	words := make(map[string]int32, len(vocab))
	for token, id := range vocab {
		if raw := unspell(token); spell(raw) == token {
			words[raw] = id
		}
	}
	return words
}

// addedPiece is what an added token decodes to: in a model of characters, as in the
// reference, its normalised form.
func (t *BPE) addedPiece(a *addedToken) string {
	if !t.characters {
		return a.Content
	}
	text := a.Content
	if a.Normalized && t.normalise != nil {
		text = t.normalise(text)
	}
	return strings.ReplaceAll(text, mark, " ")
}

func (t *BPE) setFinder(a *addedToken) error {
	if !a.Normalized {
		return t.verbatim.add(a.Content, a)
	}
	text := a.Content
	if t.normalise != nil {
		text = t.normalise(text)
	}
	return t.normalized.add(text, a)
}

// charTable finds the ids of single characters.
type charTable struct {
	ascii [utf8.RuneSelf]int32
	rest  map[string]int32
}

func newCharTable(vocab map[string]int32) *charTable {
	c := &charTable{rest: map[string]int32{}}
	for b := range c.ascii {
		c.ascii[b] = none
	}
	for token, id := range vocab {
		if len(token) == 1 && token[0] < utf8.RuneSelf {
			c.ascii[token[0]] = id
		} else if utf8.RuneCountInString(token) == 1 {
			c.rest[token] = id
		}
	}
	return c
}

func (c *charTable) get(char string) int32 {
	if char[0] < utf8.RuneSelf {
		return c.ascii[char[0]]
	}
	if id, ok := c.rest[char]; ok {
		return id
	}
	return none
}

// addChars queues the symbols of a word: its characters; for one outside of the
// vocabulary its bytes if each has a token, else the unknown token. Like the
// reference, it holds an unknown token back until the next known character, so
// bytes may come before it.
func (m *model) addChars(word string, by *merger) {
	held := 0 // bytes of an unknown token
	for word != "" {
		_, n := utf8.DecodeRuneInString(word)
		char := word[:n]
		word = word[n:]
		id := m.chars.get(char)
		switch {
		case id != none:
			if held > 0 {
				by.add(m.unk, held)
			}
			held = 0
			by.add(id, n)
		case m.addBytes(char, by):
		case m.unk == none:
			by.more(n, false)
		default:
			if held > 0 && !m.fuseUnk {
				by.add(m.unk, held)
				held = 0
			}
			held += n
		}
	}
	if held > 0 {
		by.add(m.unk, held)
	}
}

// addBytes queues the bytes of a character unless one has no token.
func (m *model) addBytes(char string, by *merger) bool {
	for i := range len(char) {
		if m.byteID[char[i]] == none {
			return false
		}
	}
	for i := range len(char) {
		by.add(m.byteID[char[i]], 1)
	}
	return true
}

// pieceOf gives the bytes that a token of a model of characters stands for.
func (m *modelFile) pieceOf(token string) string {
	if m.ByteFallback && len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
		if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
			return string([]byte{byte(b)})
		}
	}
	return strings.ReplaceAll(token, mark, " ")
}
