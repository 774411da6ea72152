package bpe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is one entry of added_tokens in tokenizer.json.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
	Passed     bool   `json:"-"` // text like it is text (split_special_tokens)
}

// finder finds added tokens in a text: the leftmost, and of those that begin at
// the same place the longest.
type finder struct {
	root   [256]int32
	next   []map[byte]int32
	tokens []*addedToken // at the node where it ends, else nil
}

func newFinder() *finder {
	return &finder{next: []map[byte]int32{nil}, tokens: []*addedToken{nil}}
}

// add makes t findable as text, which is not empty.
func (f *finder) add(text string, t *addedToken) error {
	node := f.root[text[0]]
	if node == 0 {
		node = f.node()
		f.root[text[0]] = node
	}
	for i := 1; i < len(text); i++ {
		child := f.next[node][text[i]]
		if child == 0 {
			child = f.node()
			if f.next[node] == nil {
				f.next[node] = map[byte]int32{}
			}
			f.next[node][text[i]] = child
		}
		node = child
	}
	if other := f.tokens[node]; other != nil {
		return fmt.Errorf("%w: added tokens %q and %q look the same", ErrCorrupt, other.Content, t.Content)
	}
	f.tokens[node] = t
	return nil
}

func (f *finder) node() int32 {
	f.next = append(f.next, nil)
	f.tokens = append(f.tokens, nil)
	return int32(len(f.next) - 1)
}

func (f *finder) empty() bool { return len(f.next) == 1 }

// match is the longest token at the beginning of text, nil for none, and where it
// ends.
func (f *finder) match(text string) (t *addedToken, end int) {
	node := f.root[text[0]]
	for i := 1; node != 0; i++ {
		if f.tokens[node] != nil {
			t, end = f.tokens[node], i
		}
		if i == len(text) || f.next[node] == nil {
			break
		}
		node = f.next[node][text[i]]
	}
	return t, end
}

// split calls between for the text around added tokens and found for each of
// them, in order, with the bytes from ≤ i < to that they take. It follows the reference
// to the letter: a token that may not stand there is passed over as a whole, and white
// space that a token strips from its right is searched for tokens once more.
func (f *finder) split(text string, between func(from, to int), found func(id int32, from, to int)) {
	done := 0
	for at := 0; at < len(text); {
		t, n := f.match(text[at:])
		if t == nil {
			at++
			continue
		}
		start, stop := at, at+n
		at = stop
		if t.Passed || t.SingleWord && (endsInWord(text[:start]) || beginsInWord(text[stop:])) {
			continue
		}
		if t.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], isSpace)), done)
		}
		if t.RStrip {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], isSpace))
		}
		if done < start {
			between(done, start)
		}
		found(t.ID, start, stop)
		done = stop
	}
	if done < len(text) {
		between(done, len(text))
	}
}

func isSpace(r rune) bool { return unicode.Is(unicode.White_Space, r) }

// isWord is \w of Unicode regular expressions (UTS 18, annex C).
func isWord(r rune) bool {
	return unicode.In(r, newLetters, newNumbers, newWordMarks) || unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M,
		unicode.Nd, unicode.Pc, unicode.Join_Control)
}

func endsInWord(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && isWord(r)
}

func beginsInWord(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && isWord(r)
}
