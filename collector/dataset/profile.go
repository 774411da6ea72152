package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// place is where a row stands in a source.
type place struct{ file, at int }

// profile is what a column has held in the rows read so far.
type profile struct {
	name    string
	values  int           // cells that are not missing
	first   [kinds]*place // the first cell of each kind; nil: none
	large   bool          // a whole number beyond what every float64 gives back
	what    string        // of nested cells
	chat    bool          // a nested cell was a conversation
	fields  fieldKinds
	strings int // cells of text with something in it
}

// fieldKinds says what all fields of a CSV column read as.
type fieldKinds struct{ notInt, notFloat, notBool bool }

// profiles are a source's columns in the order of their first mention.
type profiles struct {
	rows   int
	list   []*profile
	byName map[string]*profile
}

func newProfiles() *profiles { return &profiles{byName: map[string]*profile{}} }

func (p *profiles) column(name string) *profile {
	c := p.byName[name]
	if c == nil {
		c = &profile{name: name}
		p.byName[name] = c
		p.list = append(p.list, c)
	}
	return c
}

// add takes note of one row.
func (p *profiles) add(file int, r row) {
	p.rows++
	for _, c := range r.cells {
		p.column(c.name).add(place{file, r.at}, c.cell)
	}
}

func (p *profile) add(at place, c cell) {
	if c.kind == missing {
		return
	}
	p.values++
	if p.first[c.kind] == nil {
		p.first[c.kind] = &at
	}
	switch c.kind {
	case integer:
		p.large = p.large || c.int > exact || c.int < -exact
	case text:
		p.strings++
	case nested:
		p.what = c.what
		p.chat = p.chat || c.chat != nil || isChat(c.raw)
	case field:
		p.strings++
		f := &p.fields
		f.notInt = f.notInt || !isInt(c.text)
		f.notFloat = f.notFloat || !isFloat(c.text)
		f.notBool = f.notBool || !isBool(c.text)
	}
}

// merge adds the profiles of rows that come after p's.
func (p *profiles) merge(later *profiles) {
	p.rows += later.rows
	for _, l := range later.list {
		c := p.column(l.name)
		c.values += l.values
		c.strings += l.strings
		c.large = c.large || l.large
		c.chat = c.chat || l.chat
		if l.what != "" {
			c.what = l.what
		}
		c.fields.notInt = c.fields.notInt || l.fields.notInt
		c.fields.notFloat = c.fields.notFloat || l.fields.notFloat
		c.fields.notBool = c.fields.notBool || l.fields.notBool
		for k, at := range l.first {
			if c.first[k] == nil {
				c.first[k] = at
			}
		}
	}
}

func (p *profile) has(k kind) bool { return p.first[k] != nil }

// mixture is a column of values that no one type holds.
type mixture struct {
	at   place // of the first value that does not fit those before it
	says string
}

// resolve finds the type of the column over rows rows. note says what of the values changed, if anything did.
func (p *profile) resolve(rows int) (t Type, note string, bad *mixture) {
	numbers := p.has(integer) || p.has(fraction) || p.has(digits)
	gaps := p.values < rows
	groups := 0
	for _, there := range []bool{numbers, p.has(boolean), p.has(text)} {
		if there {
			groups++
		}
	}
	switch {
	case p.values == 0:
		return String, "", nil
	case groups > 1, p.has(field) && (numbers && p.fields.notFloat || p.has(boolean) && p.fields.notBool):
		return 0, "", p.mixed()
	case groups == 0:
		return p.fieldType(gaps), "", nil
	case p.has(text):
		return String, "", nil
	case p.has(boolean) && gaps:
		return String, "true and false, with gaps", nil
	case p.has(boolean):
		return Bool, "", nil
	case p.has(digits):
		return String, "numbers that neither int64 nor float64 holds", nil
	case p.large && (p.has(fraction) || gaps):
		return String, "whole numbers beyond 2^53 among gaps or fractions", nil
	case p.has(fraction) || gaps || p.has(field):
		return Float64, "", nil
	}
	return Int64, "", nil
}

// fieldType is the narrowest type that all fields of a CSV column read as without loss. A column of true and false
// with an empty field stays text, and so do whole numbers with one if they are too large for the floats that they
// would become.
func (p *profile) fieldType(gaps bool) Type {
	switch f := p.fields; {
	case !f.notInt && !gaps:
		return Int64
	case !f.notFloat:
		return Float64
	case !f.notBool && !gaps:
		return Bool
	}
	return String
}

// mixed describes two kinds of values that do not go together, in the order in which they came.
func (p *profile) mixed() *mixture {
	first := func(fits func(k kind) bool) (least kind) {
		for k := integer; k < nested; k++ {
			if p.has(k) && fits(k) && (least == missing || before(*p.first[k], *p.first[least])) {
				least = k
			}
		}
		return least
	}
	a := first(func(kind) bool { return true })
	b := first(func(k kind) bool { return !alike(a, k) })
	return &mixture{*p.first[b], fmt.Sprintf("column %q holds %s, and here %s; leave it out with --drop %s", brief(p.name), a, b, brief(p.name))}
}

// alike says whether two kinds are both numbers, or both text.
func alike(a, b kind) bool {
	number := func(k kind) bool { return k == integer || k == fraction || k == digits }
	return a == b || number(a) && number(b) || (a == text || a == field) && (b == text || b == field)
}

func before(a, b place) bool { return a.file < b.file || a.file == b.file && a.at < b.at }

// namesOf lists columns for a message.
func namesOf(list []*profile) string {
	names := make([]string, 0, len(list))
	for _, p := range list {
		names = append(names, brief(p.name))
	}
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func isInt(f string) bool {
	v, err := strconv.ParseInt(f, 10, 64)
	return err == nil && strconv.FormatInt(v, 10) == f
}

// isFloat says whether a float64 holds what a field says.
func isFloat(f string) bool {
	if !isNumber(f) {
		return false
	}
	if strings.ContainsAny(f, ".eE") {
		_, err := strconv.ParseFloat(f, 64)
		return err == nil
	}
	v, err := strconv.ParseInt(f, 10, 64)
	return err == nil && v >= -exact && v <= exact
}
