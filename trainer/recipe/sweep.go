package recipe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"actfleet/internal/smallfile"
	"actfleet/trainer/coder"
)

// Planned is one learner of a sweep file, to be trained on every tap its site and layers
// name.
type Planned struct {
	Name         string // unique among the learners of a tap, for the folder
	Site, Layers string // as on the command line; "" where the file does not say
	Recipe       Recipe
}

// maxLearners bounds what a sweep file may ask for.
const maxLearners = 4096

// maxName bounds a learner's name, before what its lists add.
const maxName = 64

// LoadSweep reads a file with many learners:
//
//	common: {steps: 500, batch: 4096}
//	learners:
//	  - {kind: sae, site: fc2, layers: 3, width: [1024, 4096], k: [16, 32], seed: [0, 1]}
//	  - {kind: tokenizer, site: resid, layers: all, codes: 512, name: small}
//
// A list under a key that takes one value, here or in common, stands for a learner with each; several are
// crossed. Keys of common, and the settings "key=value" which win over the file, go to
// the kinds that have them. All problems are reported at once.
func LoadSweep(path string, sets []string) ([]Planned, error) {
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return parseSweep(path, text, sets)
}

// parseSweep is LoadSweep of what was read; the name is for errors.
func parseSweep(path string, text []byte, sets []string) ([]Planned, error) {
	values, err := parseYAML(path, text)
	if err != nil {
		return nil, err
	}
	common, _ := values["common"].(map[string]any)
	entries, _ := values["learners"].([]any)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if key != "common" && key != "learners" {
			errs = append(errs, fmt.Errorf("%s: unknown key; a sweep has common and learners", key))
		}
	}
	if len(entries) == 0 {
		errs = append(errs, errors.New("learners: want a list with at least one learner"))
	}
	var out []Planned
	for i, e := range entries {
		plans, err := expand(e, common, sets)
		if err != nil {
			errs = append(errs, fmt.Errorf("learner %d: %w", i+1, err))
		}
		if out = append(out, plans...); len(out) > maxLearners {
			return nil, fmt.Errorf("%s: more than %d learners", path, maxLearners)
		}
	}
	if err := errors.Join(append(errs, unused(common, sets))...); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// kindOf are the kinds by the names of the command line.
var kindOf = map[string]string{"sae": coder.SAE, "tokenizer": coder.VQ, "vq": coder.VQ}

// expand makes the learners of one entry.
func expand(entry any, common map[string]any, sets []string) ([]Planned, error) {
	values, ok := entry.(map[string]any)
	if !ok {
		return nil, errors.New("want keys with values")
	}
	name, _ := text(values["kind"])
	kind, ok := kindOf[name]
	if !ok {
		return nil, fmt.Errorf("kind is %q: want sae or tokenizer", name)
	}
	base := Planned{Name: name, Recipe: Default(kind)}
	if arch, ok := text(values["arch"]); ok {
		base.Name = arch
	}
	for key, to := range map[string]*string{"name": &base.Name, "site": &base.Site, "layers": &base.Layers} {
		if v, given := values[key]; given {
			*to = joined(v)
		}
	}
	if len(base.Name) > maxName || strings.ContainsAny(base.Name, "/\\\x00") || strings.HasPrefix(base.Name, ".") {
		return nil, fmt.Errorf("name %q cannot be part of a folder's name", base.Name)
	}
	return base.cross(values, common, sets)
}

// joined is a list as the command line writes it.
func joined(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = fmt.Sprint(e)
	}
	return strings.Join(parts, ",")
}

// cross applies an entry's values and those of common that it does not replace to the plan; a list under a key that
// takes one value multiplies the plans.
func (p Planned) cross(values, common map[string]any, sets []string) ([]Planned, error) {
	var errs []error
	plans := []Planned{p}
	own := maps.Clone(values)
	for _, key := range []string{"kind", "name", "site", "layers"} {
		delete(own, key)
	}
	for _, key := range slices.Sorted(maps.Keys(common)) {
		if _, replaced := own[key]; !replaced && p.Recipe.find(key) != nil {
			own[key] = common[key]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		var err error
		if plans, err = times(plans, key, own[key]); len(plans) == 0 {
			return nil, err
		}
		errs = append(errs, err)
	}
	for i := range plans {
		for _, s := range sets {
			if key, _, _ := strings.Cut(s, "="); p.Recipe.find(strings.TrimSpace(key)) != nil {
				errs = append(errs, plans[i].Recipe.Set(s))
			}
		}
		errs = append(errs, plans[i].Recipe.Validate())
	}
	return plans, errors.Join(errs...)
}

// times sets a key in all plans, in each to every value of a list.
func times(plans []Planned, key string, value any) (out []Planned, err error) {
	f := plans[0].Recipe.find(key)
	if f == nil {
		return plans, plans[0].Recipe.unknown(key)
	}
	list, many := value.([]any)
	switch f.value.(type) {
	case *[]string, *[]float64:
		many = false
	}
	if !many {
		list = []any{value}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: an empty list", key)
	}
	if len(list) > maxLearners/len(plans) {
		return nil, fmt.Errorf("%s: %d values for each of %d learners are more than %d learners", key, len(list), len(plans), maxLearners)
	}
	var errs []error
	for _, p := range plans {
		for _, v := range list {
			next := p
			errs = append(errs, next.Recipe.set(key, v))
			if many {
				next.Name += "-" + key + strings.Map(namePart, fmt.Sprint(v))
			}
			out = append(out, next)
		}
	}
	return out, errors.Join(errs...)
}

// namePart keeps what a value may add to a folder's name.
func namePart(r rune) rune {
	if r == '/' || r == '\\' || unicode.IsControl(r) {
		return '_'
	}
	return r
}

// unused reports keys that no kind of learner has.
func unused(common map[string]any, sets []string) error {
	keys := slices.Sorted(maps.Keys(common))
	for _, s := range sets {
		key, _, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("setting %q: want key=value", s)
		}
		keys = append(keys, strings.TrimSpace(key))
	}
	sae, vq := Default(coder.SAE), Default(coder.VQ)
	for _, key := range keys {
		if sae.find(key) == nil && vq.find(key) == nil {
			return fmt.Errorf("%s: unknown key", key)
		}
	}
	return nil
}
