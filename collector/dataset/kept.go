package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"
)

// Extent is a part of a text in code points, Start ≤ i < End.
type Extent struct{ Start, End int32 }

// Said is where a rendered conversation holds what one role said. Skip is how many code points of the message the
// template left out in front.
type Said struct {
	Extent
	Skip int32
}

// tokens are those of a document.
type tokens struct {
	ids          []int32
	text         string   // that they stand for; "" where the source gave ids
	special      bool     // the encoder has put its own ids around them
	keep         []bool   // which become rows, where the token rule depends on the data; else nil
	roles        []string // of the messages, where the token rule asks for one
	starts, ends []int32  // code points of text that each stands for; nil where they are not wanted
}

// slice is a part of the tokens.
func (d tokens) slice(from, to int) tokens {
	d.ids = d.ids[from:to:to]
	if d.keep != nil {
		d.keep = d.keep[from:to:to]
	}
	if d.starts != nil {
		d.starts, d.ends = d.starts[from:to:to], d.ends[from:to:to]
	}
	return d
}

// around puts ids of no document in front of the tokens and behind them; they never become rows of a rule that depends
// on the data, and stand for nothing of the text.
func (d tokens) around(before, after []int32) tokens {
	if len(before)+len(after) == 0 {
		return d
	}
	d.ids = slices.Concat(before, d.ids, after)
	if d.keep != nil {
		d.keep = slices.Concat(make([]bool, len(before)), d.keep, make([]bool, len(after)))
	}
	if d.starts != nil {
		first, last := make([]int32, len(before)), make([]int32, len(after))
		d.starts, d.ends = slices.Concat(first, d.starts, last), slices.Concat(first, d.ends, last)
	}
	return d
}

// kept lists the positions that become rows, ascending.
func (d tokens) kept() []int32 {
	out := []int32{}
	for i, keep := range d.keep {
		if keep {
			out = append(out, int32(i))
		}
	}
	return out
}

// locates says whether the places of tokens in the text are needed.
func (opt *Options) locates() bool {
	return opt.Offsets || opt.Tokens.Role() != "" || opt.Tokens.Span() != ""
}

// keepColumn is the column that the token rule reads; "" for none.
func (opt *Options) keepColumn() string { return cmp.Or(opt.Tokens.Mask(), opt.Tokens.Span()) }

// checkTokens makes sure that the data have what the token rule and offsets ask for.
func (s *Source) checkTokens() error {
	rule, c := s.opt.Tokens, s.choice
	switch {
	case rule.Mask() != "" && c.ids == "":
		return fmt.Errorf("%w: --tokens %s: a mask has a value for each token, so it needs a column %s", ErrOption, rule, idsColumn)
	case rule.Role() != "" && !s.UsesChat():
		return fmt.Errorf("%w: --tokens %s: there are no conversations; it needs a column of messages, or --template %s", ErrOption, rule, ChatTemplate)
	case rule.Span() != "" && c.chat != "":
		return fmt.Errorf("%w: --tokens %s: a span counts in a column of text, and column %s holds conversations; "+
			"assistant, user and system keep what one role says", ErrOption, rule, c.chat)
	case s.opt.locates() && c.ids != "":
		return fmt.Errorf("%w: --tokens %s and --offsets need a text, and %s are used as they are; --text COLUMN takes a text in their place",
			ErrOption, rule, idsColumn)
	}
	return nil
}

// encodeText makes tokens of a rendered text; said are the parts that the token rule keeps, if it is about parts of a
// text.
func (t *tokenizer) encodeText(text string, special bool, said []Extent) tokens {
	d := tokens{text: text, special: special}
	switch {
	case text == "":
		return d
	case !t.opt.locates():
		d.ids = t.enc.Encode(text, special)
		return d
	}
	d.ids, d.starts, d.ends = t.enc.EncodeOffsets(text, special)
	if t.opt.Tokens.Role() != "" || t.opt.Tokens.Span() != "" {
		d.keep = overlaps(d.starts, d.ends, said)
	}
	if !t.opt.Offsets {
		d.starts, d.ends = nil, nil
	}
	return d
}

// overlaps says of each token whether a part of it lies in one of the extents. A token without extent of its own, of
// white space, does so inside of one.
func overlaps(starts, ends []int32, extents []Extent) []bool {
	merged := merge(extents)
	keep := make([]bool, len(starts))
	for i := range starts {
		k := sort.Search(len(merged), func(k int) bool { return merged[k].End > starts[i] })
		keep[i] = k < len(merged) && merged[k].Start < ends[i]
	}
	return keep
}

// merge sorts extents, joins those that overlap, and leaves out empty ones.
func merge(extents []Extent) (out []Extent) {
	extents = slices.DeleteFunc(slices.Clone(extents), func(e Extent) bool { return e.Start >= e.End })
	slices.SortFunc(extents, func(a, b Extent) int { return cmp.Compare(a.Start, b.Start) })
	for _, e := range extents {
		if n := len(out); n > 0 && e.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, e.End)
			continue
		}
		out = append(out, e)
	}
	return out
}

// notSpecial says of each token whether it is none of the tokenizer's special ones.
func (t *tokenizer) notSpecial(ids []int32) []bool {
	keep := make([]bool, len(ids))
	for i, id := range ids {
		keep[i] = !t.enc.IsSpecial(id)
	}
	return keep
}

// ignored is the label that the trade gives to tokens that do not count.
const ignored = -100

// maskOf reads the column of the rule mask:COLUMN for a row with these ids, padding among them: a list of 0 and 1, or
// labels: ignored, or the token's own id.
func (t *tokenizer) maskOf(r row, ids []int64) ([]bool, error) {
	name := t.opt.Tokens.Mask()
	bad := func(says string, args ...any) error {
		return inColumn(name, fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(says, args...)))
	}
	list, err := r.cell(name).list()
	if errors.Is(err, errNullInList) {
		return nil, bad("%s", err)
	}
	if err != nil || list == nil {
		return nil, bad("want a list of 0 and 1 for --tokens %s, or labels with %d", t.opt.Tokens, ignored)
	}
	if len(list) != len(ids) {
		return nil, bad("it has length %d, and %s has length %d; they must be as long", len(list), idsColumn, len(ids))
	}
	// Labels of which none is ignored are the ids themselves; else a value but 0 and 1 is a mistake.
	other := slices.ContainsFunc(list, func(v int64) bool { return v != 0 && v != 1 })
	labels := other && (slices.Contains(list, ignored) || slices.Equal(list, ids))
	keep := make([]bool, len(list))
	for i, v := range list {
		if labels && v != ignored && v != ids[i] || !labels && v != 0 && v != 1 {
			return nil, bad("position %d is %d: want 0 and 1; or labels, each %d or the token's id, which is %d", i, v, ignored, ids[i])
		}
		keep[i] = labels && v != ignored || !labels && v == 1
	}
	return keep, nil
}

// spansOf reads the column of the rule span:COLUMN: extents of a text of n code points. A missing cell has none.
func (t *tokenizer) spansOf(r row, text string) ([]Extent, error) {
	name := t.opt.Tokens.Span()
	if name == "" {
		return nil, nil
	}
	spans, err := r.cell(name).extents()
	if err != nil {
		return nil, inColumn(name, fmt.Errorf("%w: %w", ErrFormat, err))
	}
	n := int64(utf8.RuneCountInString(text))
	out := make([]Extent, len(spans))
	for i, s := range spans {
		if s[0] < 0 || s[0] > s[1] || s[1] > n {
			return nil, inColumn(name, fmt.Errorf("%w: the span %d to %d of a text of %d characters; spans count code points, as Python does, from 0, and end behind their last one",
				ErrFormat, s[0], s[1], n))
		}
		out[i] = Extent{int32(s[0]), int32(s[1])}
	}
	return out, nil
}

var errNoSpan = errors.New("want a span [start, end], {start, end}, or a list of these")

// extents is a cell as pairs of start and end.
func (c cell) extents() ([][2]int64, error) {
	raw := c.raw
	switch {
	case c.kind == missing:
		return nil, nil
	case c.pairs != nil:
		return c.pairs, nil
	case len(c.ints) == 2:
		return [][2]int64{{c.ints[0], c.ints[1]}}, nil
	case c.ints != nil && len(c.ints) == 0:
		return nil, nil
	case c.kind == field || c.kind == text:
		raw = []byte(c.text)
	}
	var one pairJSON
	var several []pairJSON
	switch {
	case json.Unmarshal(raw, &one) == nil:
		return [][2]int64{one}, nil
	case json.Unmarshal(raw, &several) == nil && several != nil:
		out := make([][2]int64, len(several))
		for i, p := range several {
			out[i] = p
		}
		return out, nil
	}
	return nil, errNoSpan
}

// pairJSON is a span in either spelling.
type pairJSON [2]int64

// UnmarshalJSON reads [start, end] or an object that has both.
func (p *pairJSON) UnmarshalJSON(raw []byte) error {
	var list []*int64
	if json.Unmarshal(raw, &list) == nil && len(list) == 2 && list[0] != nil && list[1] != nil {
		*p = pairJSON{*list[0], *list[1]}
		return nil
	}
	var o struct{ Start, End *int64 }
	if err := json.Unmarshal(raw, &o); err != nil || o.Start == nil || o.End == nil {
		return errNoSpan
	}
	*p = pairJSON{*o.Start, *o.End}
	return nil
}

// shifted moves extents of a message to where the conversation holds it, as far as it does.
func shifted(spans []Extent, said []Said) (out []Extent) {
	for _, at := range said {
		for _, s := range spans {
			move := at.Start - at.Skip
			out = append(out, Extent{max(s.Start+move, at.Start), min(s.End+move, at.End)})
		}
	}
	return out
}
