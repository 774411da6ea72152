package chat

import (
	"regexp"
	"strings"
)

// maxWords bounds an error's words, in bytes.
const maxWords = 300

var (
	// parsedAt ends the words of a template that cannot be parsed.
	parsedAt = regexp.MustCompile(`^(.*?)\.? \(Line: (\d+) Col: \d+, near "(.*)"\)$`)
	// renderedAt is in front of what the engine says of a part of a template; the last is that of the innermost part.
	renderedAt = regexp.MustCompile(`Unable to (?:render|execute|evaluation) \w+(?: as boolean)? at line (\d+): `)
	// structures and wraps are what the engine puts in front of the words that count: its own structures, printed.
	structures = regexp.MustCompile(`^\w*ControlStructure\([^)]*\): `)
	wraps      = regexp.MustCompile(`^(?:unable to execute template: |Unable to parse controlStructure "\w+": )`)
)

// endings are what is wrong with a part of a template, in the engine's words and in ours.
var endings = []struct {
	engine *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`^.*filter '(\w+)' not found$`), "no filter $1"},
	{regexp.MustCompile(`^.*test '(\w+)' not found$`), "no test $1"},
	{regexp.MustCompile(`^.*: (\S+) is not callable$`), "no function $1"},
	{regexp.MustCompile(`^.*unknown method '(\w+)' for .*$`), "no method $1"},
	{regexp.MustCompile(`^ControlStructure '(\w+)' not found \(or beginning not provided\)$`), "no statement $1, or one that ends what has not begun"},
	{regexp.MustCompile(`^.*Unable to evaluate ([\w.]+): Can't use Getitem on None$`), "no $1: what it is a part of is undefined"},
	{regexp.MustCompile(`^.*invalid call to (?:filter|test|function) '(\w+)': (.*)$`), "$1: $2"},
	{regexp.MustCompile(`^.*invalid call to method '(\w+)' of .*?: (.*)$`), "$1: $2"},
	{regexp.MustCompile(`^.*unable to evaluate filter &\{<Token\[Name\] Val='(\w+)'.*?map\[.*?\]\}: (.*)$`), "$1: $2"},
}

// plainly is the engine's error as the line of the template and what is wrong there, in one line of bounded length.
func plainly(err error) string {
	words := strings.Join(strings.Fields(err.Error()), " ")
	if at := strings.LastIndex(words, "': "); at > 0 && strings.HasPrefix(words, "failed to parse template '") {
		words = words[at+3:] // the engine puts the whole template before its words
	}
	if _, after, ok := strings.Cut(words, "it says: "); ok {
		return brief("it says: " + after)
	}
	words = wraps.ReplaceAllString(words, "")
	line, near := "", ""
	if m := parsedAt.FindStringSubmatch(words); m != nil {
		words, line, near = wraps.ReplaceAllString(m[1], ""), m[2], m[3]
	} else if all := renderedAt.FindAllStringSubmatchIndex(words, -1); all != nil {
		last := all[len(all)-1]
		words, line = structures.ReplaceAllString(words[last[1]:], ""), words[last[2]:last[3]]
	}
	for _, e := range endings {
		if e.engine.MatchString(words) {
			words, near = e.engine.ReplaceAllString(words, e.ours), ""
			break
		}
	}
	if near != "" {
		words += ` near "` + near + `"`
	}
	if line != "" && line != "0" {
		words = "line " + line + ": " + words
	}
	return brief(words)
}

// brief is words of bounded length.
func brief(words string) string {
	if len(words) > maxWords {
		return strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return words
}
