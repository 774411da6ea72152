package bpe

import "unicode/utf8"

// A splitter gives the length in bytes of the first word of a text that is not
// empty; the words cover the text.
type splitter func(text string) int

// class is what a character is to the split patterns.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

var asciiClass = func() (t [utf8.RuneSelf]class) {
	for r := range rune(utf8.RuneSelf) {
		t[r] = slowClass(r)
	}
	return t
}()

// classAt gives the class and the length of the first character of a text that is
// not empty. A byte that is no UTF-8 is of class other.
func classAt(text string) (class, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRuneInString(text)
	return slowClass(r), n
}

// gpt2 splits as the pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// of https://github.com/openai/gpt-2/blob/master/src/encoder.py
func gpt2(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	lead := 0
	if text[0] == ' ' && len(text) > 1 {
		lead = 1
	}
	c, n := classAt(text[lead:])
	if c != space {
		return lead + n + run(text[lead+n:], c)
	}
	return gpt2Space(text)
}

// contraction matches 's|'t|'re|'ve|'m|'ll|'d at the beginning, 0 for none.
func contraction(text string) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// run is the length of the leading characters of class c.
func run(text string, c class) int {
	at := 0
	for at < len(text) {
		got, n := classAt(text[at:])
		if got != c {
			break
		}
		at += n
	}
	return at
}

// gpt2Space matches \s+(?!\S)|\s+: all white space at the end of the text, else
// all but the last character of it, else the one there is.
func gpt2Space(text string) int {
	end := run(text, space)
	if end == len(text) {
		return end
	}
	_, last := utf8.DecodeLastRuneInString(text[:end])
	if end > last {
		return end - last
	}
	return end
}
