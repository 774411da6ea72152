package collector

import (
	"fmt"
	"maps"
	"slices"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/tap"
)

// taps are those that were asked for and that the model has, without those that hold what another of them holds: same
// names the site under which their vectors are stored. A site of which the model has nothing at the layers asked for is
// an error, unless it came with a whole list of sites.
func (a Ask) taps(m Model) (taps []tap.Tap, same map[tap.Site]tap.Site, err error) {
	for _, t := range a.Taps {
		if m.Width(t) == 0 {
			return nil, nil, fmt.Errorf("--sites: %s", a.lacks(m, t.Site))
		}
	}
	if absent := a.Absent(m); len(absent) > 0 && !a.Loose {
		return nil, nil, fmt.Errorf("--sites: %s", a.lacks(m, absent[0]))
	}
	asked := tap.Choice{Sites: a.Sites, Taps: a.Taps}.At(a.Layers)
	for _, t := range asked {
		first := m.Same(t.Site)
		switch {
		case m.Width(t) == 0:
		case first != t.Site && slices.Contains(asked, tap.Tap{Site: first, Layer: t.Layer}):
			if same == nil {
				same = map[tap.Site]tap.Site{}
			}
			same[t.Site] = first
		default:
			taps = append(taps, t)
		}
	}
	if len(taps) == 0 {
		return nil, nil, fmt.Errorf("--sites: %s (%s) has none of them at the layers asked for", m.Info().Name, m.Info().Arch)
	}
	return taps, same, nil
}

// Made says whether a plan of the model has the columns that a asks for, and no other.
func (a Ask) Made(p run.Plan, m Model) (bool, error) {
	taps, same, err := a.taps(m)
	if err != nil {
		return false, err
	}
	var base []shard.Vector
	for _, v := range p.Vectors {
		if _, variant, _ := tap.ParseColumn(v.Name); variant == "" {
			base = append(base, v)
		}
	}
	equal := slices.EqualFunc(taps, base, func(t tap.Tap, v shard.Vector) bool { return t.Column("") == v.Name })
	return equal && maps.Equal(same, p.Same), nil
}

// Absent are the sites asked for of which the model has nothing at the layers asked for.
func (a Ask) Absent(m Model) (sites []tap.Site) {
	for _, site := range a.Sites {
		if len(a.Without(m, site)) == len(a.Layers) {
			sites = append(sites, site)
		}
	}
	return sites
}

// Without are the layers asked for at which the model has nothing of a site.
func (a Ask) Without(m Model, site tap.Site) (layers []int) {
	for _, l := range a.Layers {
		if m.Width(tap.Tap{Site: site, Layer: l}) == 0 {
			layers = append(layers, l)
		}
	}
	return layers
}

// lacks says why there is nothing of a site where it was asked for.
func (a Ask) lacks(m Model, site tap.Site) string {
	info := m.Info()
	var there []int
	for l := range info.Layers {
		if m.Width(tap.Tap{Site: site, Layer: l}) > 0 {
			there = append(there, l)
		}
	}
	if len(there) == 0 {
		return fmt.Sprintf("%s (%s) has no %s", info.Name, info.Arch, site)
	}
	return fmt.Sprintf("%s (%s) has %s at %s, not where it was asked for", info.Name, info.Arch, site, tap.LayersText(there))
}

// sitesOf and layersOf are those of taps, each once.
func sitesOf(taps []tap.Tap) (sites []tap.Site) {
	for _, t := range taps {
		sites = append(sites, t.Site)
	}
	slices.SortFunc(sites, tap.Site.Compare)
	return slices.Compact(sites)
}

func layersOf(taps []tap.Tap) (layers []int) {
	for _, t := range taps {
		layers = append(layers, t.Layer)
	}
	slices.Sort(layers)
	return slices.Compact(layers)
}
