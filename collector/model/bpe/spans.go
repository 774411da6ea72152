package bpe

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// EncodeOffsets is Encode, and for every id the code points starts ≤ i < ends of the text that its token stands for, as
// return_offsets_mapping of Hugging Face's fast tokenizers has them. Ids that the post-processor puts around the text
// have 0 and 0; tokens that are parts of one character all have the whole of it. White space at the ends of a token
// does not count where the file says so (trim_offsets); such a token may have start = end. A character that the
// vocabulary lacks, with no token for unknown ones, belongs to the token behind it. It fails as Encode does, see Err.
func (t *BPE) EncodeOffsets(text string, special bool) (ids, starts, ends []int32) {
	if t == nil || t.fault.Load() != nil {
		return nil, nil, nil
	}
	e := t.encoder()
	defer t.pool.Put(e)
	e.out, e.places, e.merger.locate = nil, &places{}, true
	e.text(text)
	ids, spans := e.out, e.places.inCodePoints(text)
	for _, trim := range t.trims {
		trim.apply(spans, e.places.space)
	}
	e.out, e.places, e.merger.locate = nil, nil, false
	if special {
		ids = slices.Concat(t.before, ids, t.after)
		spans = slices.Concat(make([]byteSpan, len(t.before)), spans, make([]byteSpan, len(t.after)))
	}
	for _, s := range spans {
		starts, ends = append(starts, s.start), append(ends, s.end)
	}
	return ids, starts, ends
}

// byteSpan is a part of a text, start ≤ i < end.
type byteSpan struct{ start, end int32 }

// IsSpecial says whether an id is that of a special token: an added token that the file calls special, or one that the
// post-processor puts around a text.
func (t *BPE) IsSpecial(id int32) bool {
	return t != nil && (t.special[id] || slices.Contains(t.before, id) || slices.Contains(t.after, id))
}

// A trace is a step of normalising that also says for every byte of its result which bytes of the source it stands
// for; from says that of the bytes of text. What is new has the span of what stands before it, as in the reference.
type trace func(text string, from []byteSpan) (string, []byteSpan)

// trace normalises a text.
func (t *BPE) trace(text string, from []byteSpan) (string, []byteSpan) {
	for _, step := range t.traces {
		if text != "" {
			text, from = step(text, from)
		}
	}
	return text, from
}

// spansOf gives every byte of a text the span of its character; the text begins at byte at of the source.
func spansOf(text string, at int) []byteSpan {
	out := make([]byteSpan, 0, len(text))
	for text != "" {
		_, n := utf8.DecodeRuneInString(text)
		for range n {
			out = append(out, byteSpan{int32(at), int32(at + n)})
		}
		text, at = text[n:], at+n
	}
	return out
}

// sub is from[lo:hi], nil where there are no spans.
func sub(from []byteSpan, lo, hi int) []byteSpan {
	if from == nil {
		return nil
	}
	return from[lo:hi]
}

// cover is the span from the first to the last of several.
func cover(from []byteSpan) byteSpan {
	if len(from) == 0 {
		return byteSpan{}
	}
	return byteSpan{from[0].start, from[len(from)-1].end}
}

// prepended puts front before a text that is not empty; it stands for the text's first character.
func prepended(text string, from []byteSpan, front string) (string, []byteSpan) {
	if from != nil {
		from = slices.Concat(slices.Repeat(from[:1], len(front)), from)
	}
	return front + text, from
}

// replaced is strings.ReplaceAll; what is put in stands for the last byte of what it replaces.
func replaced(text string, from []byteSpan, old, new string) (string, []byteSpan) {
	if from == nil || !strings.Contains(text, old) {
		return strings.ReplaceAll(text, old, new), from
	}
	var b strings.Builder
	var out []byteSpan
	for {
		n := strings.Index(text, old)
		if n < 0 {
			b.WriteString(text)
			return b.String(), append(out, from...)
		}
		b.WriteString(text[:n])
		b.WriteString(new)
		out = append(out, from[:n]...)
		n += len(old)
		for range len(new) {
			out = append(out, from[n-1])
		}
		text, from = text[n:], from[n:]
	}
}

// places collects where tokens stand. A nil one collects nothing.
type places struct {
	from  []byteSpan // of the bytes of the text at hand
	at    int        // byte of it where the next word begins
	spans []byteSpan // of the tokens so far, in bytes of the source
	space []pad      // white space at their ends
}

// pad is how many characters of white space a token has at its ends.
type pad struct{ left, right int32 }

// enter begins a text without added tokens.
func (p *places) enter(from []byteSpan) {
	if p != nil {
		p.from, p.at = from, 0
	}
}

// added takes down the place of an added token that was found as text.
func (p *places) added(text string, at byteSpan) {
	if p != nil {
		p.add(text, at)
	}
}

func (p *places) add(text string, at byteSpan) {
	isPad := func(r rune) bool { return r == byteRune[' '] || isSpace(r) }
	p.spans = append(p.spans, at)
	p.space = append(p.space, pad{
		left:  int32(utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeftFunc(text, isPad))),
		right: int32(utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimRightFunc(text, isPad))),
	})
}

// locate encodes one word and takes down where its tokens stand.
func (e *encoder) locate(word string) {
	p, first := e.places, len(e.out)
	e.merger.ends = e.merger.ends[:0]
	e.out = e.model.encode(e.out, word, &e.merger)
	if len(e.merger.ends) < len(e.out)-first { // the word is a token as a whole
		e.merger.ends = append(e.merger.ends, int32(len(word)))
	}
	lo := p.at
	for i, end := range e.merger.ends {
		hi := p.at + int(end)
		token := spell(e.piece(e.out[first+i]))
		if e.characters {
			token = e.piece(e.out[first+i])
		}
		p.add(token, cover(p.from[lo:hi]))
		lo = hi
	}
	p.at += len(word)
}

// inCodePoints turns the spans, of bytes, into spans of the code points of the source.
func (p *places) inCodePoints(text string) []byteSpan {
	number := make([]int32, len(text)+1) // of the code point at each byte
	n := int32(0)
	for i := 0; i < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[i:])
		for k := range size {
			number[i+k] = n
		}
		i += size
	}
	number[len(text)] = n
	for i, s := range p.spans {
		p.spans[i] = byteSpan{number[s.start], number[s.end]}
	}
	return p.spans
}

// trim takes white space off the ends of spans, as the post-processor ByteLevel does.
type trim struct {
	keepFirst bool // but for a single space in front of the text, which the pre-tokenizer may have put there
}

func (t trim) apply(spans []byteSpan, space []pad) {
	for i := range spans {
		s, left := &spans[i], space[i].left
		if t.keepFirst && left == 1 && (i == 0 || s.start == 0) {
			left = 0
		}
		s.start = min(s.start+left, s.end)
		if right := space[i].right; s.end >= right {
			s.end = max(s.end-right, s.start)
		}
	}
}

// nfcTrace is nfc with spans. A composed character stands for the first of those it was made from, in the order that
// they have when sorted: so the reference counts.
func nfcTrace(text string, from []byteSpan) (string, []byteSpan) {
	composed := nfc(text)
	if composed == text {
		return text, from
	}
	out := make([]byteSpan, 0, len(composed))
	at := 0 // byte of text
	for _, c := range compositions(text) {
		span := from[max(at-1, 0)]
		if c.more <= 0 {
			span = from[at]
		}
		for range 1 - c.more {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
		}
		_, n := utf8.DecodeRuneInString(composed[len(out):])
		out = append(out, slices.Repeat([]byteSpan{span}, n)...)
	}
	return composed, out
}

// compositions are the characters that nfc makes of a text.
func compositions(text string) (out []character) {
	for text != "" {
		n := strings.IndexFunc(text, isNewMark)
		if n == 0 {
			r, size := utf8.DecodeRuneInString(text)
			out, text = append(out, character{r: r}), text[size:]
			continue
		}
		if n < 0 {
			n = len(text)
		}
		out, text = append(out, compose(decompose(text[:n]))...), text[n:]
	}
	return out
}
