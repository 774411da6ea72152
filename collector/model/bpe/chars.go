package bpe

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

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
	held := false // an unknown token
	for word != "" {
		_, n := utf8.DecodeRuneInString(word)
		char := word[:n]
		word = word[n:]
		id := m.chars.get(char)
		switch {
		case id != none:
			if held {
				by.add(m.unk)
			}
			held = false
			by.add(id)
		case m.addBytes(char, by), m.unk == none:
		default:
			if held && !m.fuseUnk {
				by.add(m.unk)
			}
			held = true
		}
	}
	if held {
		by.add(m.unk)
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
		by.add(m.byteID[char[i]])
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
