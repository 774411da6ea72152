package recipe

import (
	"errors"
	"maps"
	"slices"

	"actfleet/shard/tap"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// Card describes a coder that this recipe, resolved, makes of a column of runs. widths are the lengths of the vectors
// that a row is made of, the column's own first; program is the version of the program.
func (r Recipe) Card(column string, runs []stream.Source, widths []int, program string) coder.Card {
	c := coder.Card{Kind: r.Kind, Column: column, DIn: widths[0], Seed: r.Seed, Config: r.Effective(), Program: program}
	if t, variant, ok := tap.ParseColumn(column); ok {
		c.Site, c.Layer, c.Variant = string(t.Site), t.Layer, variant
	}
	switch r.Kind {
	case coder.SAE:
		c.Arch, c.Width, c.K = r.SAE.Arch, r.SAE.Width, r.SAE.K
		if r.SAE.Target != "" {
			c.DOut = widths[1]
		}
		if len(r.SAE.Beside) > 0 {
			c.Parts = widths
		}
		for _, w := range c.Parts[min(1, len(c.Parts)):] {
			c.DIn += w
		}
	case coder.VQ:
		c.Arch, c.Width, c.Ids = r.VQ.Arch, r.VQ.Codes, r.VQ.Ids
	}
	for _, s := range runs {
		c.PlanIDs, c.Units = append(c.PlanIDs, s.Plan.ID()), append(c.Units, len(s.All()))
	}
	return c
}

// Of is the recipe that a coder's card holds.
func Of(c coder.Card) (Recipe, error) {
	r := Default(c.Kind)
	var errs []error
	config := Renamed(c).Config
	for _, key := range slices.Sorted(maps.Keys(config)) {
		errs = append(errs, r.set(key, config[key]))
	}
	errs = append(errs, r.Validate())
	return r, errors.Join(errs...)
}

// Renamed is a card with its recipe under the keys of today, with what it meant by not having one.
func Renamed(c coder.Card) coder.Card {
	r := Default(c.Kind)
	config := map[string]any{}
	for key, v := range former {
		if r.find(key) != nil && len(c.Config) > 0 {
			config[key] = v
		}
	}
	for key, v := range c.Config {
		if f := r.find(key); f != nil {
			key = f.key
		}
		config[key] = v
	}
	c.Config = config
	return c
}
