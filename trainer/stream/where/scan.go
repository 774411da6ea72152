package where

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind of a token.
type kind uint8

const (
	end    kind = iota
	word        // column, number, bare text or word of the language
	name        // "column"
	text        // 'text'
	symbol      // operator, bracket or comma
)

type token struct {
	kind kind
	text string
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// scan cuts a condition into tokens.
func scan(s string) (out []token, err error) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		t, n := token{word, ""}, 0
		switch {
		case s[0] == '\'' || s[0] == '"':
			t, n, err = quoted(s)
		case symbolLength(s) > 0:
			n = symbolLength(s)
			t = token{symbol, s[:n]}
		default:
			for n < len(s) {
				r, size := utf8.DecodeRuneInString(s[n:])
				if !bare(r) {
					break
				}
				n += size
			}
			t.text = s[:n]
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			r, _ := utf8.DecodeRuneInString(s)
			return nil, fmt.Errorf("unexpected %q", r)
		}
		out, s = append(out, t), s[n:]
	}
	return out, nil
}

// bare tells whether a rune can be part of a word.
func bare(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-+./:@#%", r)
}

func symbolLength(s string) int {
	for _, sym := range []string{"==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","} {
		if strings.HasPrefix(s, sym) {
			return len(sym)
		}
	}
	return 0
}

// quoted reads a text in quotes, in which two quotes stand for one.
func quoted(s string) (token, int, error) {
	quote := s[:1]
	var b strings.Builder
	for n := 1; ; {
		i := strings.Index(s[n:], quote)
		if i < 0 {
			return token{}, 0, fmt.Errorf("no %s ends the text that begins %.12q", quote, s)
		}
		b.WriteString(s[n : n+i])
		if n += i + 1; !strings.HasPrefix(s[n:], quote) {
			k := text
			if quote == `"` {
				k = name
			}
			return token{k, b.String()}, n, nil
		}
		b.WriteString(quote)
		n++
	}
}
