package chat

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"actfleet/collector/dataset"
)

// Said is Render, and where the text holds what a role said. For the assistant that is what the template encloses in
// {% generation %} blocks, where it has any: as a rule a turn with the token that ends it. Otherwise it is the content
// of the role's messages alone, as far as the template keeps it.
//
// Contents are found by rendering once more with marks in their place. The text must be that rendering with each mark
// replaced by its content, or by that without the white space or the line breaks at its ends, or by what follows
// </think>. A template that does anything else to a content is ErrTemplate. A message that the template leaves out has
// no place.
func (t *Template) Said(messages []dataset.Message, role string) (text string, said []dataset.Said, err error) {
	if text, err = t.Render(messages); err != nil {
		return "", nil, err
	}
	if role == "assistant" && t.generates {
		said, err = t.generated(messages, text)
		return text, said, err
	}
	marked := append([]dataset.Message(nil), messages...)
	mark := t.unused(messages)
	for i, m := range messages {
		if m.Role == role && strings.TrimSpace(m.Content) != "" {
			marked[i].Content = fmt.Sprintf("%s%06dz", mark, i)
		}
	}
	frame, err := t.Render(marked)
	if err != nil {
		return "", nil, fmt.Errorf("find what the %s says: %w", role, err)
	}
	said, err = locate(text, frame, mark, messages)
	return text, said, err
}

// unused is a word that occurs neither in the template nor in the messages. White space, case and punctuation are
// what templates look at, so it has none.
func (t *Template) unused(messages []dataset.Message) string {
	word := "qmark"
	for n := 0; ; n++ {
		taken := strings.Contains(t.text, word)
		for _, m := range messages {
			taken = taken || strings.Contains(m.Content, word) || strings.Contains(m.Role, word)
		}
		if !taken {
			return word
		}
		word = "qmark" + strconv.Itoa(n) + "q"
	}
}

// generated is what a template encloses in generation blocks.
func (t *Template) generated(messages []dataset.Message, text string) ([]dataset.Said, error) {
	mark := t.unused(messages)
	marked, err := t.render(messages, map[string]any{markKey: mark})
	if err != nil {
		return nil, err
	}
	parts := strings.Split(marked, mark)
	if len(parts)%2 == 0 || strings.Join(parts, "") != text {
		return nil, fmt.Errorf("%w: a {%% generation %%} block is changed after it is written, so that its place is lost", ErrTemplate)
	}
	var said []dataset.Said
	at := int32(0)
	for i, part := range parts {
		n := int32(utf8.RuneCountInString(part))
		if i%2 == 1 {
			said = append(said, dataset.Said{Extent: dataset.Extent{Start: at, End: at + n}})
		}
		at += n
	}
	return said, nil
}

// state is a way to match the beginning of a text with that of its frame.
type state struct {
	at    int // bytes of the text that are matched
	from  int // the state before, in the step before
	start int // of the content that was matched last
	end   int
	skip  int // code points of the content in front of it
}

// locate finds what stands in a text where its frame has marks.
func locate(text, frame, mark string, messages []dataset.Message) ([]dataset.Said, error) {
	places := regexp.MustCompile(mark+`(\d{6})z`).FindAllStringSubmatchIndex(frame, -1)
	first := frame
	if len(places) > 0 {
		first = frame[:places[0][0]]
	}
	if !strings.HasPrefix(text, first) {
		return nil, changed(messages, 0)
	}
	steps := [][]state{{{at: len(first)}}}
	last := 0
	for k, p := range places {
		last, _ = strconv.Atoi(frame[p[2]:p[3]])
		behind := frame[p[1]:]
		if k+1 < len(places) {
			behind = frame[p[1]:places[k+1][0]]
		}
		if last >= len(messages) {
			return nil, changed(messages, 0)
		}
		next := follow(text, steps[k], messages[last].Content, behind)
		if len(next) == 0 {
			return nil, changed(messages, last)
		}
		steps = append(steps, next)
	}
	for i, s := range steps[len(places)] {
		if s.at == len(text) {
			return trace(text, steps, i), nil
		}
	}
	return nil, changed(messages, last)
}

func changed(messages []dataset.Message, i int) error {
	role := ""
	if i < len(messages) {
		role = messages[i].Role
	}
	return fmt.Errorf("%w: it changes what message %d (%.20q) says, so that its place in the text cannot be found; "+
		"choose another rule for --tokens, or leave the conversation out", ErrTemplate, i, role)
}

// follow matches a content and what stands behind it.
func follow(text string, before []state, content, behind string) (out []state) {
	reached := map[int]bool{}
	for from, s := range before {
		for _, form := range forms(content) {
			words := content[form[0]:form[1]]
			at := s.at + len(words) + len(behind)
			if reached[at] || !strings.HasPrefix(text[s.at:], words) || !strings.HasPrefix(text[s.at+len(words):], behind) {
				continue
			}
			reached[at] = true
			out = append(out, state{at: at, from: from, start: s.at, end: s.at + len(words), skip: utf8.RuneCountInString(content[:form[0]])})
		}
	}
	return out
}

// endOfThought is what reasoning models write between their thoughts and their answer.
const endOfThought = "</think>"

// forms are the parts of a content that templates write, the longest first.
func forms(content string) (out [][2]int) {
	starts := []int{0}
	if n := strings.LastIndex(content, endOfThought); n >= 0 {
		starts = append(starts, n+len(endOfThought))
	}
	lineBreak := func(r rune) bool { return r == '\n' }
	for _, from := range starts {
		words := content[from:]
		for _, left := range []string{words, strings.TrimLeftFunc(words, lineBreak), strings.TrimLeftFunc(words, unicode.IsSpace)} {
			for _, both := range []string{left, strings.TrimRightFunc(left, lineBreak), strings.TrimRightFunc(left, unicode.IsSpace)} {
				at := len(content) - len(left)
				out = append(out, [2]int{at, at + len(both)})
			}
		}
	}
	return out
}

// trace goes back from the i-th state of the last step.
func trace(text string, steps [][]state, i int) []dataset.Said {
	said := make([]dataset.Said, len(steps)-1)
	for k := len(steps) - 1; k > 0; k-- {
		s := steps[k][i]
		start := utf8.RuneCountInString(text[:s.start])
		said[k-1] = dataset.Said{
			Extent: dataset.Extent{Start: int32(start), End: int32(start + utf8.RuneCountInString(text[s.start:s.end]))},
			Skip:   int32(s.skip),
		}
		i = s.from
	}
	return said
}
