package bpe

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dlclark/regexp2"
)

// setPreTokenizer knows ByteLevel with or without its own pattern, alone or after
// Splits and Digits; and for models of characters none, Metaspace
// and a Split behind spaces. A sequence of one is that one.
func (t *BPE) setPreTokenizer(raw json.RawMessage, m *modelFile) error {
	if isNull(raw) {
		return t.setMarks(marks{}, m)
	}
	var k kind
	if err := part(raw, "pre_tokenizer", &k); err != nil {
		return err
	}
	switch {
	case k.Type == "Sequence" && len(k.PreTokenizers) == 1:
		return t.setPreTokenizer(k.PreTokenizers[0], m)
	case k.Type == "Sequence":
		return t.setStages(k.PreTokenizers, m)
	case k.Type == "ByteLevel":
		return t.setByteLevel(&k, m)
	case k.Type == "Metaspace":
		return t.setMetaspace(&k, m)
	case k.Type == "Split" && k.Pattern.String != nil:
		return t.setSpaces(&k, m)
	}
	return fmt.Errorf("%w: pre_tokenizer %q", ErrUnsupported, k.Type)
}

// setStages takes any number of Splits by a pattern, Digits and Punctuation, and one ByteLevel among them. What comes
// after the ByteLevel sees bytes as it spells them.
func (t *BPE) setStages(members []json.RawMessage, m *modelFile) error {
	names, bytes := typesOf(members), false
	for i, member := range members {
		var k kind
		if err := part(member, "pre_tokenizer", &k); err != nil {
			return err
		}
		before := len(t.stages)
		switch {
		case k.Type == "ByteLevel" && bytes:
			return fmt.Errorf("%w: pre_tokenizer Sequence %s", ErrUnsupported, names)
		case k.Type == "ByteLevel":
			bytes = true
			if err := t.setByteLevel(&k, m); err != nil {
				return err
			}
			if i > 0 && t.prepare != nil {
				return fmt.Errorf("%w: pre_tokenizer %s before a ByteLevel with add_prefix_space", ErrUnsupported, names[0])
			}
			if k.UseRegex == nil || *k.UseRegex {
				t.stages = append(t.stages, splitter(gpt2).stage)
			}
			continue
		}
		if err := t.addStage(&k); err != nil {
			return err
		}
		if bytes {
			t.stages[before] = spelled(t.stages[before])
		}
	}
	if !bytes {
		return fmt.Errorf("%w: pre_tokenizer Sequence %s", ErrUnsupported, names)
	}
	if len(t.stages) == 1 && t.scanner != nil && names[len(names)-1] == "ByteLevel" {
		t.split, t.stages = t.scanner, nil
	}
	return nil
}

// spelled is a stage that sees a text's bytes as a byte-level vocabulary spells them.
func spelled(s stage) stage {
	return func(text string, emit func(word string)) {
		s(spell(text), func(word string) { emit(unspell(word)) })
	}
}

// punctuation is what the pre_tokenizer of that name takes for a sign.
const punctuation = "[\\p{P}\\$\\+<=>\\^~\\|`]"

// addStage takes one member of a sequence that is no ByteLevel.
func (t *BPE) addStage(k *kind) error {
	switch {
	case k.Type == "Digits" && k.Individual:
		return t.addIsolate(`\p{N}`)
	case k.Type == "Digits":
		return t.addIsolate(`\p{N}+`)
	case k.Type == "Punctuation" && k.Behavior == "Contiguous":
		return t.addIsolate(punctuation + "+")
	case k.Type == "Punctuation" && (k.Behavior == "Isolated" || k.Behavior == ""):
		return t.addIsolate(punctuation)
	case k.Type == "Split" && k.Pattern.Regex != nil:
		return t.addPattern(k)
	case k.Type == "Split":
		return fmt.Errorf("%w: pre_tokenizer Split beside ByteLevel without a regular expression", ErrUnsupported)
	}
	return fmt.Errorf("%w: pre_tokenizer %s beside a ByteLevel", ErrUnsupported, k.Type)
}

// addPattern takes a Split by a pattern. The patterns that have a scanner match every
// text without a gap, so isolating their matches and removing what lies between them
// are the same; of others, only isolating is known.
func (t *BPE) addPattern(k *kind) error {
	scan, whole := splitPatterns[*k.Pattern.Regex]
	if k.Behavior != "Isolated" && (k.Behavior != "Removed" || !k.Invert || !whole) {
		return fmt.Errorf("%w: pre_tokenizer Split with behavior %q, invert %t", ErrUnsupported, k.Behavior, k.Invert)
	}
	if !whole {
		return t.addIsolate(*k.Pattern.Regex)
	}
	t.scanner, t.stages = scan, append(t.stages, scan.stage)
	return nil
}

func (t *BPE) addIsolate(pattern string) error {
	if most, ok := numberPatterns[pattern]; ok {
		t.stages = append(t.stages, numbers(most).stage)
		return nil
	}
	s, err := isolate(pattern, longestMatch, t.fail)
	if err != nil {
		return fmt.Errorf("pre_tokenizer Split: %w", err)
	}
	t.stages = append(t.stages, s)
	return nil
}

// numberPatterns are the patterns of numbers alone, with how many a match has at most.
var numberPatterns = map[string]int{`\p{N}`: 1, `\p{N}{1,3}`: 3, `\p{N}+`: math.MaxInt}

// numbers is isolate for such a pattern, some five times as fast.
func numbers(most int) splitter {
	return func(text string) int {
		if n := upTo(text, number, most); n > 0 {
			return n
		}
		at := 0
		for at < len(text) {
			c, n := classAt(text[at:])
			if c == number {
				break
			}
			at += n
		}
		return at
	}
}

func (t *BPE) setByteLevel(k *kind, m *modelFile) error {
	switch {
	case k.AddPrefixSpace == nil:
		return fmt.Errorf("%w: pre_tokenizer ByteLevel without add_prefix_space", ErrCorrupt)
	case m.ByteFallback:
		return fmt.Errorf("%w: model BPE with byte_fallback behind pre_tokenizer ByteLevel", ErrUnsupported)
	}
	if *k.AddPrefixSpace {
		t.prepare = prefixSpace
	}
	t.split = gpt2
	if k.UseRegex != nil && !*k.UseRegex {
		t.split = func(text string) int { return len(text) }
	}
	return nil
}

func prefixSpace(text string, from []byteSpan, _ bool) (string, []byteSpan) {
	if text[0] == ' ' {
		return text, from
	}
	return prepended(text, from, " ")
}

// setMetaspace takes both spellings: add_prefix_space of older files, and
// prepend_scheme.
func (t *BPE) setMetaspace(k *kind, m *modelFile) error {
	if k.Replacement != mark {
		return fmt.Errorf("%w: pre_tokenizer Metaspace with replacement %q", ErrUnsupported, k.Replacement)
	}
	if k.AddPrefixSpace != nil && !*k.AddPrefixSpace && k.PrependScheme != "never" {
		return fmt.Errorf("%w: pre_tokenizer Metaspace: add_prefix_space and prepend_scheme contradict each other", ErrCorrupt)
	}
	switch k.PrependScheme {
	case "always", "":
		t.prepare = func(text string, from []byteSpan, _ bool) (string, []byteSpan) { return marked(text, from, true) }
	case "first":
		t.prepare = marked
	case "never":
		t.prepare = func(text string, from []byteSpan, _ bool) (string, []byteSpan) { return marked(text, from, false) }
	default:
		return fmt.Errorf("%w: pre_tokenizer Metaspace with prepend_scheme %q", ErrUnsupported, k.PrependScheme)
	}
	return t.setMarks(marks{each: k.Split == nil || *k.Split}, m)
}

// setSpaces takes Gemma's Split behind every space.
func (t *BPE) setSpaces(k *kind, m *modelFile) error {
	if *k.Pattern.String != " " || k.Behavior != "MergedWithPrevious" || k.Invert {
		return fmt.Errorf("%w: pre_tokenizer Split by %q with behavior %q, invert %t",
			ErrUnsupported, *k.Pattern.String, k.Behavior, k.Invert)
	}
	return t.setMarks(marks{spaces: true}, m)
}

// typesOf names the members of a sequence for an error.
func typesOf(members []json.RawMessage) []string {
	var names []string
	for _, m := range members {
		var k struct{ Type string }
		_ = json.Unmarshal(m, &k) // an unreadable member has no name
		names = append(names, k.Type)
	}
	return names
}

// ErrPattern says that a pattern of the file's comes to no end on a text: matching goes back and forth.
var ErrPattern = errors.New("the tokenizer's pattern takes too long")

// How long a pattern may take, thousands of times what those of real tokenizers do.
const (
	longestMatch = 10 * time.Second // for one match
	longestByte  = time.Millisecond // for each byte of a text, besides
)

// isolate is the stage that makes a word of every match of a pattern and of what lies between matches. A text on which
// that comes to no end, by the longest time of a match, is not cut further, and fail is told ErrPattern.
func isolate(pattern string, longest time.Duration, fail func(error)) (stage, error) {
	text, err := translate(pattern)
	if err != nil {
		return nil, err
	}
	re, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("%w: the pattern %q", ErrUnsupported, pattern)
	}
	re.MatchTimeout = longest
	return func(text string, emit func(word string)) {
		runes, starts := runesOf(text)
		done, end := 0, time.Now().Add(longest+time.Duration(len(text))*longestByte)
		m, err := re.FindRunesMatch(runes)
		for ; m != nil; m, err = re.FindNextMatch(m) {
			from, to := starts[m.Index], starts[m.Index+m.Length]
			if done < from {
				emit(text[done:from])
			}
			if from < to {
				emit(text[from:to])
			}
			if done = to; time.Now().After(end) {
				break
			}
		}
		if m != nil || err != nil { // an error is a time-out, there is no other
			fail(fmt.Errorf("%w: %.200q on a text of %d bytes, after %d of them", ErrPattern, pattern, len(text), done))
		}
		if done < len(text) {
			emit(text[done:])
		}
	}, nil
}
