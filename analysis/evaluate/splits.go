package evaluate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrLeak marks splits that share what they must not share.
var ErrLeak = errors.New("splits leak into each other")

// ErrUngrouped marks splits made without groups, which cannot be checked.
var ErrUngrouped = errors.New("split without groups")

// Row is a prompt of a run: row numbers say nothing without the run they count in.
type Row struct {
	Run string // the id of its plan
	Row int64
}

// String names the row and the beginning of the run's id.
func (r Row) String() string { return fmt.Sprintf("row %d of run %.12s", r.Row, r.Run) }

// Split is a named set of rows. All slices have one entry per row; Texts may be
// nil when the run does not hold the texts, Rows when they have no numbers.
type Split struct {
	Name   string
	Rows   []Row
	Groups []string // what may not be divided between splits
	Texts  []string // for the search for duplicates
	Labels []bool

	Elsewhere bool // the rows of another run: it may share with other splits that nothing was fitted on
}

// apart tells whether two splits must share nothing.
func apart(a, b Split) bool {
	fitted := func(s Split) bool { return s.Name == "train" || s.Name == "val" }
	return !a.Elsewhere && !b.Elsewhere || fitted(a) || fitted(b)
}

// CheckSplits returns an error that names the first overlap found when two
// splits share a row, a group or a text, and ErrUngrouped for a split without
// one group per row. Rows are equal when run and number are; groups and texts are
// equal wherever they stand, in one run or in two. Texts are compared without
// regard to case and spacing; an empty one is no text.
func CheckSplits(splits ...Split) error {
	for _, s := range splits {
		if n := s.size(); n == 0 || len(s.Groups) != n {
			return fmt.Errorf("%w: split %q has %d rows and %d groups; give every row a group", ErrUngrouped, s.Name, n, len(s.Groups))
		}
	}
	for i, a := range splits {
		for _, b := range splits[i+1:] {
			if !apart(a, b) {
				continue
			}
			if err := checkPair(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Split) size() int {
	return max(len(s.Rows), len(s.Groups), len(s.Texts), len(s.Labels))
}

func checkPair(a, b Split) error {
	if n, row := shared(a.Rows, b.Rows); n > 0 {
		return leak(a, b, n, "rows", row.String())
	}
	if n, group := shared(a.Groups, b.Groups); n > 0 {
		return leak(a, b, n, "groups", fmt.Sprintf("group %q", shorten(group)))
	}
	if n, text := shared(texts(a), texts(b)); n > 0 {
		return leak(a, b, n, "texts", fmt.Sprintf("%q", shorten(text)))
	}
	return nil
}

func leak(a, b Split, n int, what, example string) error {
	return fmt.Errorf("%w: %q and %q share %d %s, for example %s; split by group and remove duplicates first", ErrLeak, a.Name, b.Name, n, what, example)
}

// shared counts the distinct values that both lists hold and returns the first
// of them in b.
func shared[T comparable](a, b []T) (n int, example T) {
	in := make(map[T]bool, len(a))
	for _, v := range a {
		in[v] = true
	}
	for _, v := range b {
		if in[v] {
			if n == 0 {
				example = v
			}
			n++
			delete(in, v)
		}
	}
	return n, example
}

// texts are the texts of a split, as they are compared.
func texts(s Split) (out []string) {
	for _, t := range s.Texts {
		if t = normal(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func normal(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}

// Fingerprint is a SHA-256 over what the rows of the split are: their texts
// where it has texts, else their runs and row numbers, each with its label. It does not
// depend on the order of the rows or on the split's name, so a test split that
// is the validation split under another name has the same fingerprint.
func (s Split) Fingerprint() string {
	lines := make([]string, s.size())
	for i := range lines {
		switch {
		case len(s.Texts) > 0:
			lines[i] = "t" + normal(s.Texts[i])
		case len(s.Rows) > 0:
			lines[i] = fmt.Sprintf("r%s/%d", s.Rows[i].Run, s.Rows[i].Row)
		}
		if len(s.Labels) > 0 {
			lines[i] += fmt.Sprintf("\x00%t", s.Labels[i])
		}
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(h, "%d:%s\n", len(l), l)
	}
	return hex.EncodeToString(h.Sum(nil))
}
