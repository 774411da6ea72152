package trainer

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// setText applies "key=value"; the value is read as YAML, and a list may be given
// with commas.
func (c *Config) setText(kind, text string) error {
	key, raw, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("setting %q: want key=value", text)
	}
	key = strings.TrimSpace(key)
	f := c.find(kind, key)
	if f == nil {
		return c.unknown(kind, key)
	}
	switch f.value.(type) {
	case *string, *[]string:
		return assign(*f, raw) // as it is: a YAML reader would change 01 or yes
	}
	var v any
	if err := yaml.Unmarshal([]byte(raw), &v); err != nil {
		return fmt.Errorf("%s: %q is not a value", key, raw)
	}
	return assign(*f, v)
}

// set applies a value read from YAML.
func (c *Config) set(kind, key string, v any) error {
	f := c.find(kind, key)
	if f == nil {
		return c.unknown(kind, key)
	}
	return assign(*f, v)
}

// oldKeys are the names that keys had in cfg.json and configs before; they are still read.
var oldKeys = map[string]string{"lloyd": "kmeans_steps", "revive": "dead_share"}

// currentKey is the name of a key today.
func currentKey(key string) string {
	if now, ok := oldKeys[key]; ok {
		return now
	}
	return key
}

func (c *Config) find(kind, key string) *field {
	key = currentKey(key)
	for _, f := range c.of(kind) {
		if f.key == key {
			return &f
		}
	}
	return nil
}

// unknown says which keys there are, or which kind a key belongs to.
func (c *Config) unknown(kind, key string) error {
	var keys []string
	for _, f := range c.fields() {
		if f.key == key {
			return fmt.Errorf("%s: a key of %s, not of %s", key, strings.ReplaceAll(f.kinds, " ", " and "), kind)
		}
	}
	for _, f := range c.of(kind) {
		keys = append(keys, f.key)
	}
	return fmt.Errorf("%s: unknown key; %s has %s", key, kind, strings.Join(keys, ", "))
}

// assign stores a value in a field if its type allows it without loss.
func assign(f field, v any) error {
	ok := false
	switch p := f.value.(type) {
	case *int:
		var n float64
		if n, ok = number(v); ok && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			*p = int(n)
		} else {
			ok = false
		}
	case *uint64:
		ok = assignUint(p, v)
	case *float64:
		*p, ok = number(v)
	case *bool:
		*p, ok = v.(bool)
	case *string:
		*p, ok = text(v)
	case *[]string:
		ok = assignTexts(p, v)
	case *[]float64:
		ok = assignNumbers(p, v)
	}
	if !ok {
		return fmt.Errorf("%s: %v is not %s", f.key, v, wanted(f.value))
	}
	return nil
}

func wanted(p any) string {
	switch p.(type) {
	case *int:
		return "a whole number"
	case *uint64:
		return "a whole number of at least 0"
	case *float64:
		return "a number"
	case *bool:
		return "true or false"
	case *[]float64:
		return "a list of numbers"
	case *[]string:
		return "a list"
	}
	return "a text"
}

// number also reads a number that the YAML reader took for text, such as 1e-3, and
// JSON's numbers.
func number(v any) (float64, bool) {
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return 0, false
	case r.Kind() == reflect.String:
		n, err := strconv.ParseFloat(r.String(), 64)
		return n, err == nil
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

func assignUint(p *uint64, v any) bool {
	n, err := strconv.ParseUint(fmt.Sprint(v), 10, 64)
	if err == nil {
		*p = n
	}
	return err == nil
}

func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case nil, []any, map[string]any:
		return "", false
	}
	return fmt.Sprint(v), true
}

func assignTexts(p *[]string, v any) bool {
	if s, ok := v.(string); ok {
		*p = slices.DeleteFunc(splitList(s), func(s string) bool { return s == "" })
		return true
	}
	list, ok := v.([]any)
	if !ok {
		return false
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = text(e); !ok {
			return false
		}
	}
	*p = out
	return true
}

// splitList cuts a text at the commas that stand outside quotes and brackets.
func splitList(s string) (parts []string) {
	var quote rune
	depth, from := 0, 0
	for i, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth <= 0:
			parts, from = append(parts, strings.TrimSpace(s[from:i])), i+1
		}
	}
	return append(parts, strings.TrimSpace(s[from:]))
}

func assignNumbers(p *[]float64, v any) bool {
	list, ok := v.([]any)
	if s, isText := v.(string); isText { // "0.1,1" is a text to YAML
		for part := range strings.SplitSeq(s, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		ok = true
	} else if n, single := number(v); single {
		list, ok = []any{n}, true
	}
	if !ok {
		return false
	}
	out := make([]float64, len(list))
	for i, e := range list {
		if out[i], ok = number(e); !ok {
			return false
		}
	}
	*p = out
	return true
}

// show is the value behind a field's pointer.
func show(p any) any { return reflect.ValueOf(p).Elem().Interface() }

// Effective is every key of a kind with its value, as cfg.json holds it.
func (c Config) Effective(kind string) map[string]any {
	out := map[string]any{}
	for _, f := range c.of(kind) {
		out[f.key] = show(f.value)
		if list, ok := out[f.key].([]string); ok && list == nil {
			out[f.key] = []string{} // null is no list
		}
	}
	return out
}
