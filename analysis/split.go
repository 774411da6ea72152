package analysis

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// split cuts a text at the semicolons that end statements: not those within
// quotes, dollar quotes and comments. rest is what follows the last one.
// Statements of nothing but comments and space are left out.
func split(text string) (statements []string, rest string) {
	begin, solid := 0, false // solid: the statement has something to run
	for i := 0; i < len(text); {
		switch n := skip(text[i:]); {
		case n > 0:
			solid = solid || text[i] != '-' && text[i] != '/'
			i += n
		case text[i] == ';':
			if solid {
				statements = append(statements, strings.TrimSpace(text[begin:i]))
			}
			i++
			begin, solid = i, false
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			solid = solid || !unicode.IsSpace(r)
			i += n
		}
	}
	if !solid && !open(text[begin:]) {
		return statements, ""
	}
	return statements, text[begin:]
}

// skip returns the length of the quoted text or the comment that s begins with;
// one that does not end takes all of s.
func skip(s string) int {
	switch {
	case s[0] == '\'' || s[0] == '"':
		return quoted(s)
	case strings.HasPrefix(s, "--"):
		return until(s, "\n", 2)
	case strings.HasPrefix(s, "/*"):
		return until(s, "*/", 2)
	case s[0] == '$':
		if tag := dollarTag(s); tag != "" {
			return until(s, tag, len(tag))
		}
	}
	return 0
}

// quoted takes a doubled quote for one within the text.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 < len(s) && s[i+1] == s[0] {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

func until(s, end string, from int) int {
	if i := strings.Index(s[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(s)
}

// dollarTag is the $tag$ that s begins with, or nothing.
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '$':
			return s[:i+1]
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 1 && c >= '0' && c <= '9':
		default:
			return ""
		}
	}
	return ""
}

// open tells whether a block comment begins in s and does not end.
func open(s string) bool {
	i := strings.LastIndex(s, "/*")
	return i >= 0 && !strings.Contains(s[i:], "*/")
}
