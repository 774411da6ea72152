package probe

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// usual is what a label means that no map speaks of. -1 counts as 0 where no row has a 0.
var usual = map[string]bool{"0": false, "false": false, "no": false, "-1": false, "1": true, "true": true, "yes": true}

// labels are the values of the label column: the distinct ones in plain form, and which of them each row has.
type labels struct {
	values []string
	of     []int
	index  map[string]int
}

func (l *labels) add(col any, i int) {
	v := plainLabel(col, i)
	at, ok := l.index[v]
	if !ok {
		if l.index == nil {
			l.index = map[string]int{}
		}
		at = len(l.values)
		l.index[v], l.values = at, append(l.values, v)
	}
	l.of = append(l.of, at)
}

// plainLabel is a label as it is compared: a number as short as it can be, other text in small letters without the
// space around it, "" for a missing value.
func plainLabel(col any, i int) string {
	text := strings.ToLower(strings.TrimSpace(textOf(col, i)))
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return text
	case math.IsNaN(v):
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// resolve turns the values into labels. bad are the rows whose value is neither in the map nor usual.
func (l *labels) resolve(mapped map[string]bool) (label []bool, bad []int) {
	label = make([]bool, len(l.of))
	for i, at := range l.of {
		v, ok := l.meaning(l.values[at], mapped)
		if label[i] = v; !ok {
			bad = append(bad, i)
		}
	}
	return label, bad
}

func (l *labels) meaning(value string, mapped map[string]bool) (v, ok bool) {
	if v, ok = mapped[value]; ok {
		return v, true
	}
	if _, zero := l.index["0"]; value == "-1" && zero {
		return false, false
	}
	v, ok = usual[value]
	return v, ok
}

// said tells what the values mean, where that is more than 0, 1, true and false; "" where it is not.
func (l *labels) said(mapped map[string]bool) string {
	plain := len(mapped) == 0
	var parts []string
	for _, v := range slices.Sorted(slices.Values(l.values)) {
		m, ok := l.meaning(v, mapped)
		if !ok {
			continue
		}
		plain = plain && slices.Contains([]string{"0", "1", "true", "false"}, v)
		parts = append(parts, fmt.Sprintf("%s is %d", shownLabel(v), class(m)))
	}
	if plain {
		return ""
	}
	return strings.Join(parts, ", ")
}

// refuse names the rows whose label is neither 0 nor 1, and what can be done about it.
func (l *labels) refuse(column string, bad []int, name func(row int) string) error {
	const named = 5
	var rows []string
	for _, i := range bad[:min(named, len(bad))] {
		rows = append(rows, name(i)+": "+shownLabel(l.values[l.of[i]]))
	}
	if more := len(bad) - len(rows); more > 0 {
		rows = append(rows, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %d of %d rows of column %q are neither 0 nor 1 (%s); %s", ErrLabel, len(bad), len(l.of), column,
		strings.Join(rows, ", "), l.wayOut(column, bad))
}

// wayOut is how a user can go on: say what the values mean, or leave their rows out.
func (l *labels) wayOut(column string, bad []int) string {
	var unknown, known []string
	seen := map[int]bool{}
	for _, i := range bad {
		seen[l.of[i]] = true
	}
	for at, v := range l.values {
		switch {
		case v != "" && seen[at]:
			unknown = append(unknown, v)
		case !seen[at]:
			known = append(known, whereValue(v))
		}
	}
	slices.Sort(unknown)
	slices.Sort(known)
	var ways []string
	if len(unknown) > 0 {
		first := fmt.Sprintf("%s=0", unknown[0])
		if len(unknown) > 1 {
			first += fmt.Sprintf(",%s=1", unknown[1])
		}
		ways = append(ways, fmt.Sprintf("say what they mean, for instance --label-map %q", first))
	}
	if len(known) > 1 && len(known) < 9 {
		ways = append(ways, fmt.Sprintf("leave them out with --where %q", column+" in ("+strings.Join(known, ", ")+")"))
	}
	if len(ways) == 0 {
		ways = append(ways, "name another column with --set label=COLUMN")
	}
	return strings.Join(ways, ", or ")
}

// whereValue is a value as a condition names it.
func whereValue(v string) string {
	if _, err := strconv.ParseFloat(v, 64); err == nil || v == "true" || v == "false" {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", "''") + "'"
}

func shownLabel(v string) string {
	switch _, err := strconv.ParseFloat(v, 64); {
	case v == "":
		return "null"
	case err == nil:
		return v
	}
	return fmt.Sprintf("%.40q", v)
}

// ParseLabelMap reads what labels mean: texts such as no=0 and yes=1, the last = counts.
func ParseLabelMap(entries []string) (map[string]bool, error) {
	m := map[string]bool{}
	for _, e := range entries {
		at := strings.LastIndexByte(e, '=')
		if at < 0 || e[at+1:] != "0" && e[at+1:] != "1" {
			return nil, fmt.Errorf("label_map: %.60q is not LABEL=0 or LABEL=1", e)
		}
		key := plainLabel([]string{strings.Trim(e[:at], `'"`)}, 0)
		v := e[at+1:] == "1"
		if old, ok := m[key]; ok && old != v {
			return nil, fmt.Errorf("label_map: %.60q is both 0 and 1", key)
		}
		m[key] = v
	}
	return m, nil
}

// unused is an entry of the map that no row has, "" where there is none: it is mistyped.
func (l *labels) unused(mapped map[string]bool) (value string, found bool) {
	for _, v := range slices.Sorted(maps.Keys(mapped)) {
		if _, ok := l.index[v]; !ok {
			return v, true
		}
	}
	return "", false
}
