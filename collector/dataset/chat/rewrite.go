package chat

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// The engine knows "a if b else c" only as a whole expression, not within brackets, where much used templates have
// it. There it is written as a filter that the engine can be given: (b)|either(a, c).

// either is that filter.
func either(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if len(params.Args) != 2 {
		return exec.AsValue(fmt.Errorf("either: want two values"))
	}
	if in.IsTrue() {
		return params.Args[0]
	}
	return params.Args[1]
}

// errDeep says that a template nests more than any that is meant well.
var errDeep = fmt.Errorf("%w: more than %d brackets, or conditions, within one another", ErrTemplate, maxDepth)

// rewrite makes a template that the engine reads as Jinja reads text: conditional expressions within brackets are
// filters (see either), backslashes are unmistakable (see quoted), and blanks between the beginning of a line and a
// statement or comment are gone, as lstrip_blocks says. (The engine's own lstrip_blocks takes blanks between two tags
// of a line too.)
func rewrite(text string) (string, error) {
	var out strings.Builder
	for {
		at := strings.IndexByte(text, '{')
		if at < 0 || at+1 == len(text) {
			out.WriteString(text)
			return out.String(), nil
		}
		kind := text[at+1]
		if kind == '%' || kind == '#' {
			lineStart := strings.LastIndexByte(text[:at], '\n') + 1
			first := out.Len() == 0 || strings.HasSuffix(out.String(), "\n")
			out.WriteString(text[:lineStart])
			blank := strings.TrimSpace(text[lineStart:at]) == "" && (lineStart > 0 || first)
			if !blank || strings.HasPrefix(text[at+2:], "+") {
				out.WriteString(text[lineStart:at])
			}
		} else {
			out.WriteString(text[:at])
		}
		text = text[at:]
		var err error
		switch kind {
		case '{':
			text, err = tag(&out, text, "}}")
		case '%':
			text, err = tag(&out, text, "%}")
		case '#':
			text = verbatim(&out, text, "#}")
		default:
			text = verbatim(&out, text, "{")
		}
		if err != nil {
			return "", err
		}
	}
}

// verbatim copies text up to and with end, and gives the rest.
func verbatim(out *strings.Builder, text, end string) string {
	n := len(text)
	if at := strings.Index(text, end); at >= 0 {
		n = at + len(end)
	}
	out.WriteString(text[:n])
	return text[n:]
}

var endRaw = regexp.MustCompile(`\{%[-+]?\s*endraw`)

// tag rewrites the tag that a text begins with up to its end, which stays; what is between raw and endraw is copied.
func tag(out *strings.Builder, text, end string) (string, error) {
	s := scanner{text: text[2:], end: end}
	inside := s.inside(0)
	if s.deep {
		return "", errDeep
	}
	out.WriteString(text[:2] + inside)
	rest := s.text[s.at:]
	if end == "%}" && strings.Trim(inside, " \t\n-+") == "raw" {
		if at := endRaw.FindStringIndex(rest); at != nil {
			out.WriteString(rest[:at[0]])
			rest = rest[at[0]:]
		}
	}
	return rest, nil
}

// scanner goes through one tag.
type scanner struct {
	text string
	at   int
	end  string // of the tag
	deep bool   // it nests too deeply; the rest is not read
}

// inside reads up to the bracket that closes this depth, or the tag's end, neither taken.
func (s *scanner) inside(depth int) string {
	var out, part strings.Builder
	ifs, elses := []int{}, []int{} // where these words stand in part
	flush := func() {
		if depth > 0 && len(ifs) > 0 {
			out.WriteString(conditional(part.String(), ifs, elses))
		} else {
			out.WriteString(part.String())
		}
		part.Reset()
		ifs, elses = ifs[:0], elses[:0]
	}
	for s.at < len(s.text) {
		c := s.text[s.at]
		if s.deep = s.deep || depth > maxDepth || len(ifs) > maxDepth; s.deep {
			return ""
		}
		switch {
		case depth == 0 && strings.HasPrefix(s.text[s.at:], s.end), strings.IndexByte(")]}", c) >= 0 && depth > 0:
			flush()
			return out.String()
		case c == '\'' || c == '"':
			part.WriteString(s.quoted(c))
		case strings.IndexByte("([{", c) >= 0:
			s.at++
			part.WriteByte(c)
			part.WriteString(s.inside(depth + 1))
			s.take(&part, min(1, len(s.text)-s.at)) // the bracket that closes
		case depth > 0 && (c == ',' || c == ':'):
			flush()
			out.WriteByte(c)
			s.at++
		case s.word("if"):
			ifs = append(ifs, part.Len())
			s.take(&part, 2)
		case s.word("else"):
			elses = append(elses, part.Len())
			s.take(&part, 4)
		default:
			s.take(&part, 1)
		}
	}
	flush()
	return out.String()
}

func (s *scanner) take(to *strings.Builder, n int) {
	to.WriteString(s.text[s.at : s.at+n])
	s.at += n
}

// quoted takes a string with its quotes. The engine thinks that a backslash before a quote always belongs to it, and
// refuses escapes that Python lets stand: backslashes that mean themselves are written so that it cannot mistake them.
func (s *scanner) quoted(quote byte) string {
	var out strings.Builder
	out.WriteByte(quote)
	for s.at++; s.at < len(s.text) && s.text[s.at] != quote; s.at++ {
		if s.text[s.at] != '\\' || s.at+1 == len(s.text) {
			out.WriteByte(s.text[s.at])
			continue
		}
		s.at++
		switch next := s.text[s.at]; {
		case next == '\\':
			out.WriteString(`\x5c`)
		case strings.IndexByte(`'"abfnrtvxuU`, next) >= 0:
			out.WriteString(`\` + string(next))
		default:
			out.WriteString(`\x5c` + string(next))
		}
	}
	if s.at < len(s.text) {
		out.WriteByte(quote)
		s.at++
	}
	return out.String()
}

// word says whether a whole word stands here.
func (s *scanner) word(w string) bool {
	rest := s.text[s.at:]
	return strings.HasPrefix(rest, w) && (s.at == 0 || !isName(s.text[s.at-1])) && (len(rest) == len(w) || !isName(rest[len(w)]))
}

func isName(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// conditional writes one expression with if, which stands behind a keyword's = or alone.
func conditional(part string, ifs, elses []int) string {
	name := keyword(part[:ifs[0]])
	yes := strings.TrimSpace(part[len(name):ifs[0]])
	no, until := "''", len(part)
	if len(elses) > 0 {
		until = elses[0]
		no = strings.TrimSpace(part[elses[0]+4:])
		if len(ifs) > 1 {
			rest := func(all []int) (out []int) {
				for _, at := range all[1:] {
					out = append(out, at-elses[0]-4)
				}
				return out
			}
			no = conditional(part[elses[0]+4:], rest(ifs), rest(elses))
		}
	}
	return fmt.Sprintf("%s(%s)|either(%s, %s)", name, strings.TrimSpace(part[ifs[0]+2:until]), yes, no)
}

// keyword is the name and = of a keyword argument that text begins with, or "".
func keyword(text string) string {
	at := strings.IndexByte(text, '=')
	if at < 1 || strings.HasPrefix(text[at:], "==") || strings.ContainsFunc(strings.TrimLeft(text[:at], " "), func(r rune) bool {
		return r < 0x80 && (!isName(byte(r)) || r == '.')
	}) {
		return ""
	}
	return text[:at+1]
}
