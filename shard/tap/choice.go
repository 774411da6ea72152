package tap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Choice is what a user picks of a model's taps.
type Choice struct {
	Sites []Site // at every layer asked for; in canonical order
	Taps  []Tap  // named with their layer
	// Loose says that Sites are a whole list ("all", "every"), of which a model may lack some.
	Loose bool
	// Notes are what other programs' names were understood as.
	Notes []string
}

// ParseChoice reads "all" (Sites), "every" (Every), or a comma list of sites, columns ("fc2_12") and names of either in
// other programs: "blocks.12.hook_resid_post", "hook_z", "resid_post.12", and modules of transformers of the model_type,
// "model.layers.12.mlp.down_proj" for what it gives, with ".input" behind for what it reads.
func ParseChoice(s, modelType string) (c Choice, err error) {
	switch strings.TrimSpace(s) {
	case "all":
		return Choice{Sites: slices.Clone(Sites), Loose: true}, nil
	case "every":
		return Choice{Sites: slices.Clone(Every), Loose: true}, nil
	}
	for _, item := range strings.Split(s, ",") {
		name := strings.TrimSpace(item)
		if name == "all" || name == "every" {
			return c, fmt.Errorf("site %q: it is a whole list, and stands alone", name)
		}
		p, err := parsePick(name, modelType)
		if err != nil {
			return c, err
		}
		understood := string(p.site)
		if p.layer < 0 {
			c.Sites = append(c.Sites, p.site)
		} else {
			t := Tap{p.site, p.layer}
			c.Taps, understood = append(c.Taps, t), t.Column("")
		}
		if understood != name {
			c.Notes = append(c.Notes, fmt.Sprintf("%s is %s", name, understood))
		}
	}
	c.Sites = canonical(c.Sites)
	return c, nil
}

// Check refuses taps at layers that a model with n layers does not have.
func (c Choice) Check(n int) error {
	for _, t := range c.Taps {
		if t.Layer >= n {
			return fmt.Errorf("%s: the model has layers 0 to %d", t.Column(""), n-1)
		}
	}
	return nil
}

// At are the taps of the choice, layer by layer and in canonical order, each once: Sites at the layers, and Taps.
func (c Choice) At(layers []int) []Tap {
	taps := append(Cross(c.Sites, layers), c.Taps...)
	slices.SortFunc(taps, Tap.Compare)
	return slices.Compact(taps)
}

// Compare orders taps by layer, and in canonical order inside of one.
func (t Tap) Compare(other Tap) int {
	return cmp.Or(cmp.Compare(t.Layer, other.Layer), t.Site.Compare(other.Site))
}

// Compare is the canonical order of sites; what is no site comes last.
func (s Site) Compare(other Site) int {
	place := func(s Site) int {
		if i := slices.Index(Every, s); i >= 0 {
			return i
		}
		return len(Every)
	}
	return cmp.Compare(place(s), place(other))
}
