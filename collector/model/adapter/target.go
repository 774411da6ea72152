package adapter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// targets says which modules a config means.
type targets struct {
	names, exclude *matcher
	saved          []string // endings of modules that are kept whole
	layers         []int    // nil: all
	pattern        []string // of what stands before a layer's number; nil: anything
	all            bool     // "all-linear", which transformers' classes decide
}

// matcher matches the names of modules: exactly or at the end, or by a regular expression.
type matcher struct {
	ends []string
	re   *regexp.Regexp
}

// parseMatcher reads a list or a text; nil where there is neither.
func parseMatcher(key string, v json.RawMessage) (*matcher, error) {
	if len(v) == 0 || idle(v) && !strings.HasPrefix(string(v), "[") {
		return nil, nil
	}
	var m matcher
	if json.Unmarshal(v, &m.ends) == nil {
		return &m, nil
	}
	var text string
	if err := json.Unmarshal(v, &text); err != nil {
		return nil, fmt.Errorf("%w: %s is %.60s, want a list or a pattern", ErrCorrupt, key, v)
	}
	var err error
	if m.re, err = regexp.Compile("^(?:" + text + ")$"); err != nil {
		return nil, fmt.Errorf("%w: %s: %.80q is not a pattern that Go reads: %w", ErrUnsupported, key, text, err)
	}
	return &m, nil
}

// matches says whether the matcher means a module; a nil one means none.
func (m *matcher) matches(name string) bool {
	switch {
	case m == nil:
		return false
	case m.re != nil:
		return m.re.MatchString(name)
	}
	return slices.ContainsFunc(m.ends, func(end string) bool { return name == end || strings.HasSuffix(name, "."+end) })
}

// targets reads which modules the config means.
func (c config) targets() (t targets, err error) {
	if t.names, err = parseMatcher("target_modules", c.Targets); err != nil {
		return t, err
	}
	if t.names == nil {
		return t, fmt.Errorf("%w: adapter_config.json has no target_modules", ErrCorrupt)
	}
	t.all = t.names.re != nil && strings.Trim(string(c.Targets), `" `) == "all-linear"
	if t.exclude, err = parseMatcher("exclude_modules", c.Exclude); err != nil {
		return t, err
	}
	t.saved = c.Save
	if len(c.Layers) > 0 && !idle(c.Layers) {
		var one int
		if json.Unmarshal(c.Layers, &t.layers) != nil {
			if err := json.Unmarshal(c.Layers, &one); err != nil {
				return t, fmt.Errorf("%w: layers_to_transform is %.60s", ErrCorrupt, c.Layers)
			}
			t.layers = []int{one}
		}
	}
	if len(c.Pattern) > 0 && !idle(c.Pattern) && json.Unmarshal(c.Pattern, &t.pattern) != nil {
		var one string
		if err := json.Unmarshal(c.Pattern, &one); err != nil {
			return t, fmt.Errorf("%w: layers_pattern is %.60s", ErrCorrupt, c.Pattern)
		}
		t.pattern = []string{one}
	}
	return t, nil
}

// numbered is the first number in a module's name, with what stands before it.
var numbered = regexp.MustCompile(`^.*?\.?([^.]*)\.(\d+)\.`)

// means says whether the config asks for a change of a module.
func (t targets) means(name string) bool {
	if t.exclude.matches(name) || t.inSaved(name) || !t.names.matches(name) {
		return false
	}
	if t.layers == nil || t.names.re != nil { // PEFT looks at layers with a list of endings only
		return true
	}
	at := numbered.FindStringSubmatch(name)
	if at == nil || len(t.pattern) > 0 && !slices.Contains(t.pattern, at[1]) {
		return false
	}
	layer, err := strconv.Atoi(at[2])
	return err == nil && slices.Contains(t.layers, layer)
}

// inSaved says whether a module is one that is kept whole, or lies in one.
func (t targets) inSaved(name string) bool {
	return slices.ContainsFunc(t.saved, func(m string) bool {
		return name == m || strings.HasPrefix(name, m+".") || strings.HasSuffix(name, "."+m) || strings.Contains(name, "."+m+".")
	})
}

// tags are the names that a struct's fields have in JSON.
func tags(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("json"))
	}
	return names
}
