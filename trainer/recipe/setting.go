package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"actfleet/internal/nearest"
	"actfleet/internal/smallfile"
	"actfleet/trainer/coder"
)

// Set applies "key=value"; the value is read as YAML, and a list may be given
// with commas.
func (r *Recipe) Set(text string) error {
	key, raw, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("setting %q: want key=value", text)
	}
	key = strings.TrimSpace(key)
	f := r.find(key)
	if f == nil {
		return r.unknown(key)
	}
	switch f.value.(type) {
	case *string, *[]string:
		return assign(*f, raw) // as it is: a YAML reader would change 01 or yes
	}
	var v any
	if err := unmarshal([]byte(raw), &v); err != nil {
		return fmt.Errorf("%s: %q is not a value", key, raw)
	}
	return assign(*f, v)
}

// set applies a value read from YAML.
func (r *Recipe) set(key string, v any) error {
	f := r.find(key)
	if f == nil {
		return r.unknown(key)
	}
	return assign(*f, v)
}

// fields lists the keys of the recipe's kind in the order they are shown.
func (r *Recipe) fields() []field {
	all := []field{
		{"tokens", &r.Data.Tokens, nil, "which token positions are read: last, all, every:N, pos:N"},
		{"where", &r.Data.Where, nil, "conditions on rows such as \"label = 1 and pos > 0\"; all must hold"},
	}
	seed := func(what string) []field { return []field{{"seed", &r.Seed, nil, "random seed (" + what + ")"}} }
	switch r.Kind {
	case coder.SAE:
		return slices.Concat(all, seed("initialisation, resampling"), r.Data.fields(), r.Loop.fields(), r.SAE.fields(&r.Loop))
	case coder.VQ:
		return slices.Concat(all, seed("initialisation, replacement of dead codes"), r.Data.fields(), r.Loop.fields(), r.VQ.fields(&r.Loop))
	case coder.Probe:
		return slices.Concat(all, seed("splits by hash, random directions"), r.Probe.fields())
	}
	return nil
}

// find is the field of a key, which may be one of before; nil if the kind has none.
func (r *Recipe) find(key string) *field {
	if now, ok := renamed[key]; ok {
		key = now
	}
	for _, f := range r.fields() {
		if f.key == key {
			return &f
		}
	}
	return nil
}

// unknown says which keys there are, or which kinds a key belongs to.
func (r *Recipe) unknown(key string) error {
	var others, keys []string
	for _, kind := range kinds {
		if other := Default(kind); other.find(key) != nil {
			others = append(others, kind)
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("%s: a key of %s, not of %s", key, strings.Join(others, " and "), r.Kind)
	}
	for _, f := range r.fields() {
		keys = append(keys, f.key)
	}
	meant := elsewhere[strings.ToLower(key)]
	if r.find(meant) == nil {
		meant = nearest.Name(key, keys)
	}
	if meant != "" {
		return fmt.Errorf("%s: unknown key; did you mean %s? (the --help of train has all keys)", key, meant)
	}
	return fmt.Errorf("%s: unknown key; %s has %s", key, r.Kind, strings.Join(keys, ", "))
}

// elsewhere has the names that SAELens, sparsify, dictionary_learning and transformers give to keys of ours.
var elsewhere = map[string]string{
	"learning_rate": "lr", "batch_size": "batch", "train_batch_size_tokens": "batch", "micro_batch_size": "micro", "micro_batch": "micro",
	"d_sae": "width", "dict_size": "width", "num_latents": "width", "n_latents": "width",
	"l1_coefficient": "penalty", "l1_penalty": "penalty", "l1_coeff": "penalty", "max_steps": "steps", "num_epochs": "epochs",
	"lr_warm_up_steps": "warmup", "warmup_steps": "warmup", "lr_decay_steps": "cooldown", "max_grad_norm": "clip",
	"auxk_alpha": "aux_coef", "dead_feature_window": "dead_tokens", "num_codes": "codes", "codebook_size": "codes",
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
	if texts, ok := v.([]string); ok { // of a card that was never written
		*p = slices.Clone(texts)
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
	} else if numbers, typed := v.([]float64); typed { // of a card that was never written
		*p = slices.Clone(numbers)
		return true
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

// Effective is every key of the recipe's kind with its value, as cfg.json holds it.
func (r Recipe) Effective() map[string]any {
	out := map[string]any{}
	for _, f := range r.fields() {
		out[f.key] = show(f.value)
		if list, ok := out[f.key].([]string); ok && list == nil {
			out[f.key] = []string{} // null is no list
		}
	}
	return out
}

// Bounds of a file with a recipe: its bytes, the lists and maps in it, which are parsed by recursion, and its values,
// which an alias repeats.
const (
	maxFile   = 64 << 10
	maxLists  = 4096
	maxValues = 1 << 16
)

func readYAML(path string) (map[string]any, error) {
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return parseYAML(path, text)
}

// parseYAML is readYAML of what was read; the name is for errors.
func parseYAML(path string, text []byte) (map[string]any, error) {
	for _, begin := range []string{"[", "{", "- "} {
		if n := bytes.Count(text, []byte(begin)); n > maxLists {
			return nil, fmt.Errorf("read config %s: %d times %q are more than %d", path, n, begin, maxLists)
		}
	}
	var values map[string]any
	if err := unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read config %s: %w", path, err)
	}
	if left := maxValues; !fewValues(values, &left) {
		return nil, fmt.Errorf("read config %s: it holds more than %d values", path, maxValues)
	}
	return values, nil
}

// unmarshal reads YAML, with what is wrong in one line. The library panics on some texts that are none, also while it
// formats its errors.
func unmarshal(text []byte, into any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML: %v", r)
		}
	}()
	if err := yaml.Unmarshal(text, into); err != nil {
		return errors.New(strings.ReplaceAll(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n", " "))
	}
	return nil
}

// fewValues counts down and tells whether anything is left.
func fewValues(v any, left *int) bool {
	*left--
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if *left <= 0 || !fewValues(e, left) {
				return false
			}
		}
	case map[string]any:
		for _, e := range v {
			if *left <= 0 || !fewValues(e, left) {
				return false
			}
		}
	}
	return *left > 0
}
