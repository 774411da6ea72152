package bpe

import (
	"strings"
	"unicode/utf8"
)

// splitPatterns are the regular expressions of pre_tokenizer Split that are known,
// with the scanner for each. The third is OpenAI's spelling of the first:
// https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
var splitPatterns = map[string]splitter{
	llama3Pattern: cl100k(3),
	qwen2Pattern:  cl100k(1),
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`: cl100k(3),
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:                                    gpt2,
}

// The patterns of Llama 3 and of Qwen 2.
const (
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// cl100k splits as the pattern of Llama 3 (three digits to a word) and Qwen 2 (one)
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//	 ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// on one line.
func cl100k(digits int) splitter {
	return func(text string) int {
		if n := foldedContraction(text); n > 0 {
			return n
		}
		c, n := classAt(text)
		switch {
		case c == letter:
			return n + run(text[n:], letter)
		case c == number:
			return n + upTo(text[n:], number, digits-1)
		case text[0] == '\r' || text[0] == '\n':
			return cl100kSpace(text)
		}
		return cl100kOther(text, c, n)
	}
}

// cl100kOther is the word that begins with a character of class c and n bytes that
// is neither letter, number nor line break: letters after it come first.
func cl100kOther(text string, c class, n int) int {
	next, size := other, 0
	if n < len(text) {
		next, size = classAt(text[n:])
	}
	switch {
	case size > 0 && next == letter:
		return n + size + run(text[n+size:], letter)
	case c == other:
		return n + symbols(text[n:])
	case size > 0 && next == other && text[0] == ' ':
		return n + symbols(text[n:])
	}
	return cl100kSpace(text)
}

// symbols matches [^\s\p{L}\p{N}]*[\r\n]* at the beginning.
func symbols(text string) int {
	n := run(text, other)
	return n + len(text[n:]) - len(strings.TrimLeft(text[n:], "\r\n"))
}

// upTo is the length of at most so many leading characters of class c.
func upTo(text string, c class, limit int) int {
	at := 0
	for range limit {
		if at == len(text) {
			break
		}
		got, n := classAt(text[at:])
		if got != c {
			break
		}
		at += n
	}
	return at
}

// foldedContraction matches (?i:'s|'t|'re|'ve|'m|'ll|'d) at the beginning, 0 for
// none. The long s (U+017F) is an s in any case.
func foldedContraction(text string) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if strings.HasPrefix(text[1:], "ſ") {
		return 1 + len("ſ")
	}
	if len(text) > 2 {
		switch string([]byte{text[1] | 0x20, text[2] | 0x20}) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// cl100kSpace matches \s*[\r\n]+|\s+(?!\S)|\s+: white space up to its last line
// break, else all of it at the end of the text, else all but the last character,
// else the one there is.
func cl100kSpace(text string) int {
	end := run(text, space)
	if at := strings.LastIndexAny(text[:end], "\r\n"); at >= 0 {
		return at + 1
	}
	if end == len(text) {
		return end
	}
	if _, last := utf8.DecodeLastRuneInString(text[:end]); end > last {
		return end - last
	}
	return end
}
