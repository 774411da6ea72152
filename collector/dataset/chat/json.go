package chat

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// toJSON is the filter tojson: Python's json.dumps.
func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	w := dumper{item: ", ", key: ": "}
	if err := w.set(params); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	if err := w.write(in, 0); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	return exec.AsSafeValue(w.out.String())
}

// dumper writes JSON as json.dumps does.
type dumper struct {
	out       strings.Builder
	item, key string // what separates items, and a key from its value
	indent    string
	lines     bool // one for each item
	sorted    bool
	ascii     bool
}

func (w *dumper) set(params *exec.VarArgs) error {
	names := []string{"ensure_ascii", "indent", "separators", "sort_keys"}
	if len(params.Args) > len(names) {
		return errors.New("too many arguments")
	}
	given := map[string]*exec.Value{}
	for i, v := range params.Args {
		given[names[i]] = v
	}
	for name, v := range params.KwArgs {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no argument is called %q", name)
		}
		given[name] = v
	}
	for name, v := range given {
		if v.IsNil() {
			continue
		}
		switch name {
		case "ensure_ascii":
			w.ascii = v.IsTrue()
		case "sort_keys":
			w.sorted = v.IsTrue()
		case "indent":
			w.lines, w.indent = true, v.String()
			if v.IsInteger() {
				w.indent = strings.Repeat(" ", min(max(v.Integer(), 0), 64))
			}
		}
	}
	if w.lines {
		w.item = ","
	}
	if v := given["separators"]; v != nil && !v.IsNil() {
		if !v.IsList() || v.Len() != 2 {
			return errors.New("separators are two texts")
		}
		w.item, w.key = v.Index(0).String(), v.Index(1).String()
	}
	return nil
}

func (w *dumper) write(v *exec.Value, depth int) error {
	switch {
	case depth > maxJSONDepth:
		return errors.New("nested too deep")
	case v.IsNil():
		w.out.WriteString("null")
	case v.IsBool():
		w.out.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		w.out.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		w.out.WriteString(v.String())
	case v.IsString():
		w.text(v.String())
	case v.IsDict():
		keys := keysOf(v, w.sorted)
		return w.list('{', '}', len(keys), depth, func(i int) error {
			w.text(keys[i].String())
			w.out.WriteString(w.key)
			value, _ := v.GetItem(keys[i].Interface())
			return w.write(value, depth+1)
		})
	case v.IsList():
		return w.list('[', ']', v.Len(), depth, func(i int) error { return w.write(v.Index(i), depth+1) })
	default:
		return fmt.Errorf("%.40s is no JSON", v.String())
	}
	return nil
}

// keysOf is the keys of a dictionary: in the order of the template where it has one, a message's role before its
// content.
func keysOf(v *exec.Value, sorted bool) exec.ValuesList {
	keys := v.Keys()
	if i := slices.IndexFunc(keys, func(k *exec.Value) bool { return k.String() == "role" }); i > 0 && !sorted {
		role := keys[i]
		keys = slices.Insert(slices.Delete(keys, i, i+1), 0, role)
	}
	if sorted {
		slices.SortFunc(keys, func(a, b *exec.Value) int { return strings.Compare(a.String(), b.String()) })
	}
	return keys
}

// list writes n items between brackets.
func (w *dumper) list(open, end byte, n, depth int, one func(i int) error) error {
	w.out.WriteByte(open)
	line := func(depth int) {
		if w.lines && n > 0 {
			w.out.WriteString("\n" + strings.Repeat(w.indent, depth))
		}
	}
	for i := range n {
		if i > 0 {
			w.out.WriteString(w.item)
		}
		line(depth + 1)
		if err := one(i); err != nil {
			return err
		}
	}
	line(depth)
	w.out.WriteByte(end)
	return nil
}

// text writes a string.
func (w *dumper) text(s string) {
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case shortEscapes[r] != "":
			w.out.WriteString(shortEscapes[r])
		case r < ' ' || w.ascii && r > '~':
			for _, half := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&w.out, `\u%04x`, half)
			}
		default:
			w.out.WriteRune(r)
		}
	}
	w.out.WriteByte('"')
}

var shortEscapes = map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
