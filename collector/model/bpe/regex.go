package bpe

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stage cuts a piece of text into words that cover it, one after the other.
type stage func(text string, emit func(word string))

// stage is a splitter as a stage.
func (s splitter) stage(text string, emit func(word string)) {
	for text != "" {
		n := s(text)
		emit(text[:n])
		text = text[n:]
	}
}

// runesOf is a text as characters, and where each begins; a byte that is no UTF-8 is one.
func runesOf(text string) (runes []rune, starts []int) {
	runes, starts = make([]rune, 0, len(text)), make([]int, 0, len(text)+1)
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		runes, starts = append(runes, r), append(starts, at)
		at += n
	}
	return runes, append(starts, len(text))
}

// translation rewrites a pattern of Oniguruma, which the reference uses, for regexp2.
type translation struct {
	in     []rune
	at     int
	out    strings.Builder
	class  bool // inside […]
	folded int  // depth of the group (?i:…) being read, 0 for none
	depth  int
}

// maxPattern bounds a pattern, in bytes; the longest known has 700.
const maxPattern = 8 << 10

// translate refuses every construct that the two engines may understand differently.
func translate(pattern string) (string, error) {
	t := &translation{in: []rune(pattern)}
	if len(pattern) > maxPattern {
		return "", fmt.Errorf("%w: a pattern of %d bytes (at most %d)", ErrUnsupported, len(pattern), maxPattern)
	}
	for t.at < len(t.in) {
		if !t.next() {
			return "", fmt.Errorf("%w: the pattern %q (at %q)", ErrUnsupported, pattern, string(t.in[min(t.at, len(t.in)):]))
		}
	}
	if t.class || t.depth != 0 {
		return "", fmt.Errorf("%w: the pattern %q does not end", ErrCorrupt, pattern)
	}
	return t.out.String(), nil
}

// has says whether the pattern goes on with a text.
func (t *translation) has(text string) bool { return strings.HasPrefix(string(t.in[t.at:]), text) }

// copy takes n characters over as they are.
func (t *translation) copy(n int) bool {
	t.out.WriteString(string(t.in[t.at : t.at+n]))
	t.at += n
	return true
}

// put writes something else in the place of n characters.
func (t *translation) put(n int, text string) bool {
	t.out.WriteString(text)
	t.at += n
	return true
}

func (t *translation) next() bool {
	switch c := t.in[t.at]; {
	case c == '\\':
		return t.escape()
	case t.class:
		return t.inClass(c)
	case c == '[':
		t.class = true
		if t.has("[^") {
			return t.copy(2)
		}
		return t.copy(1)
	case c == '(':
		return t.group()
	case c == ')':
		if t.depth--; t.depth < t.folded {
			t.folded = 0
		}
		return t.depth >= 0 && t.copy(1)
	case c == '$': // the end of any line
		return t.put(1, `(?=\n|\z)`)
	case c == '^', c == '.', c == ']':
		return false
	case c == '?', c == '*', c == '+', c == '{':
		return t.quantifier(c)
	default:
		return t.literal(c)
	}
}

// inClass takes a character of a class; a class in a class is refused but for one use.
func (t *translation) inClass(c rune) bool {
	const noHan = `&&[^\p{Han}]]`
	switch {
	case t.has(noHan):
		t.class = false
		return t.put(len(noHan), `-[\p{Han}]]`)
	case c == ']':
		t.class = false
		return t.copy(1)
	case c == '[' || t.has("&&") || t.has("-["):
		return false
	}
	return t.literal(c)
}

// literal takes a character that stands for itself; in a folded group it stands for its other case too.
func (t *translation) literal(c rune) bool {
	if t.folded == 0 || !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
		return t.put(1, quoted(c, t.class))
	}
	both := string(unicode.ToLower(c)) + string(unicode.ToUpper(c))
	switch unicode.ToLower(c) {
	case 's':
		both += "ſ"
	case 'k':
		both += "\u212a"
	}
	if !t.class {
		both = "[" + both + "]"
	}
	return t.put(1, both)
}

// quoted escapes what regexp2 would take for an operator and Oniguruma does not.
func quoted(c rune, class bool) string {
	if c == '#' || c == ' ' || class && c == '[' {
		return `\` + string(c)
	}
	return string(c)
}

func (t *translation) group() bool {
	t.depth++
	for _, kind := range []string{"(?:", "(?=", "(?!"} {
		if t.has(kind) {
			return t.copy(len(kind))
		}
	}
	switch {
	case t.has("(?i:") && t.folded == 0:
		t.folded = t.depth
		return t.put(len("(?i:"), "(?:")
	case t.has("(?"), t.has("(*"):
		return false
	}
	return t.put(1, "(?:")
}

// quantifier takes one that is greedy.
func (t *translation) quantifier(c rune) bool {
	n := 1
	if c == '{' {
		for n < len(t.in)-t.at && t.in[t.at+n] != '}' {
			if d := t.in[t.at+n]; (d < '0' || d > '9') && d != ',' {
				return false
			}
			n++
		}
		n++
	}
	if t.at+n > len(t.in) {
		return false
	}
	t.copy(n)
	return t.at == len(t.in) || t.in[t.at] != '+' && t.in[t.at] != '?'
}

// escapes are classes and characters that both engines write the same way.
const escapes = `rntsSd\[](){}|?*+.^$-/!"#%&',:;<=>@_~` + "`"

func (t *translation) escape() bool {
	switch {
	case t.at+1 == len(t.in):
		return false
	case t.has(`\b`) && !t.class:
		return t.copy(2)
	case t.has(`\p{`), t.has(`\P{`):
		return t.property()
	case !strings.ContainsRune(escapes, t.in[t.at+1]):
		return false
	}
	return t.copy(2)
}

// property takes \p{…}, with the letters and numbers that Go's tables do not know yet.
func (t *translation) property() bool {
	end := slices.Index(t.in[t.at:], '}')
	if end < 0 {
		return false
	}
	name := string(t.in[t.at+3 : t.at+end])
	if unicode.Categories[name] == nil && name != "Han" {
		return false
	}
	more := map[string]*unicode.RangeTable{`\p{L}`: newLetters, `\p{N}`: newNumbers}[string(t.in[t.at:t.at+end+1])]
	text := string(t.in[t.at : t.at+end+1])
	if more != nil {
		text += rangeText(more)
	}
	if more != nil && !t.class {
		text = "[" + text + "]"
	}
	return t.put(end+1, text)
}

func rangeText(table *unicode.RangeTable) string {
	var b strings.Builder
	for _, r := range table.R32 {
		b.WriteString(string(rune(r.Lo)) + "-" + string(rune(r.Hi)))
	}
	return b.String()
}
