package bpe

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normaliser rewrites the text between added tokens.
type normaliser func(text string) string

// longRun is how many combining characters in a row golang.org/x/text takes before
// it puts a grapheme joiner between them (the Stream-Safe Text Format), which
// plain NFC does not.
const longRun = 30

func isNewMark(r rune) bool { return r >= 0x7fd && unicode.Is(newMarks, r) }

// nfcKnown composes text without newMarks.
func nfcKnown(text string) string {
	if isHard(text) {
		return slowNFC(text)
	}
	return norm.NFC.String(text)
}

// isHard reports whether golang.org/x/text may compose the text otherwise than
// Unicode does: where longRun combining characters might stand in a row (each
// counted for as many as it decomposes to), and where something combines with a
// character beyond U+FFFF, which x/text v0.40 mistakes for the one with the same
// lower 16 bits.
func isHard(text string) bool {
	row, high := 0, false // combining characters in a row; whether the last character is beyond U+FFFF
	for at := 0; at < len(text); {
		if text[at] < utf8.RuneSelf {
			row, high = 0, false
			at++
			continue
		}
		p := norm.NFD.PropertiesString(text[at:])
		if p.CCC() == 0 && p.LeadCCC() == 0 && p.TrailCCC() == 0 {
			row = 0
		} else {
			row += max(1, utf8.RuneCount(p.Decomposition()))
		}
		wasHigh := high
		high = p.Size() == 4
		if row >= longRun || (high || wasHigh) && !norm.NFC.PropertiesString(text[at:]).BoundaryBefore() {
			return true
		}
		at += max(1, p.Size())
	}
	return false
}

// slowNFC composes by the definition (Unicode Standard, section 3.11): decompose
// every character, order the combining ones, join what has a composed form.
func slowNFC(text string) string {
	var out []byte
	from := 0 // of the valid text not yet composed
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			out = appendCharacters(out, compose(decompose(text[from:at])))
			out = append(out, text[at])
			from = at + 1
		}
		at += n
	}
	return string(appendCharacters(out, compose(decompose(text[from:]))))
}

// character is one on its way from one form to another. It takes 1 − more characters of the text: none where it is
// a further part of one that was decomposed, several where it is composed of them.
type character struct {
	r    rune
	more int
}

func appendCharacters(out []byte, chars []character) []byte {
	for _, p := range chars {
		out = utf8.AppendRune(out, p.r)
	}
	return out
}

func ccc(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }

// decompose is the canonical decomposition in canonical order.
func decompose(text string) []character {
	var out []character
	for _, r := range text {
		more := 0
		for _, r := range norm.NFD.String(string(r)) {
			out = append(out, character{r, more})
			more = 1
		}
	}
	for from := 0; from < len(out); {
		to := from
		for to < len(out) && ccc(out[to].r) != 0 {
			to++
		}
		slices.SortStableFunc(out[from:to], func(a, b character) int { return int(ccc(a.r)) - int(ccc(b.r)) })
		from = to + 1
	}
	return out
}

// compose joins each character with the last starter before it, unless another of
// the same or a higher class stands between them.
func compose(in []character) []character {
	var out []character
	starter, last := -1, -1 // place of the starter in out; class of the last character kept after it
	for _, p := range in {
		class := int(ccc(p.r))
		if starter >= 0 && last < class {
			if r, ok := join(out[starter].r, p.r); ok {
				out[starter] = character{r, out[starter].more + p.more - 1}
				continue
			}
		}
		out = append(out, p)
		last = class
		if class == 0 {
			starter, last = len(out)-1, -1
		}
	}
	return out
}

// join is the character that a and b compose to. What x/text says is believed only
// if it decomposes to the same.
func join(a, b rune) (rune, bool) {
	two := string(a) + string(b)
	joined := norm.NFC.String(two)
	r, n := utf8.DecodeRuneInString(joined)
	return r, n == len(joined) && norm.NFD.String(joined) == norm.NFD.String(two)
}
