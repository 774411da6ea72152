package coordinator

import (
	"strings"
	"unicode"
)

// ValidName reports whether a name that another process sent may be kept, logged and
// shown on a terminal: UTF-8 of at most MaxNameLen bytes that is all printable.
func ValidName(s string) bool { return len(s) <= MaxNameLen && Printable(s) == s }

// Printable replaces what must not reach a terminal (control characters, marks that turn
// the direction of text, bytes that are not UTF-8) in a text that another process sent.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
