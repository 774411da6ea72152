package tap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Site is a kind of place inside a transformer block.
type Site string

// The sites, by what they hold at each position of a prompt.
const (
	// Wqkv is the joined query, key and value projection [q|k|v], with bias,
	// before rotary embedding and before any norm of q and k.
	Wqkv Site = "Wqkv"
	// OutProj is the attention output projection before the residual add.
	OutProj Site = "out_proj"
	// FC1 is the first MLP projection before the activation function; [gate|up]
	// where a family has two.
	FC1 Site = "fc1"
	// FC2 is the last MLP projection before the residual add.
	FC2 Site = "fc2"
	// Resid is the output of the block, before the final norm of the model.
	Resid Site = "resid"
)

// Sites lists every site in canonical order.
var Sites = []Site{Wqkv, OutProj, FC1, FC2, Resid}

// Tap is a site in one layer. Layers count from 0.
type Tap struct {
	Site  Site
	Layer int
}

// String is the column name of the tap in the base model.
func (t Tap) String() string { return t.Column("") }

// Column names the stored column of the tap for a variant: "fc1_12" for the base
// model (variant ""), "fc1_12__ia3" for the adapter ia3.
func (t Tap) Column(variant string) string {
	name := string(t.Site) + "_" + strconv.Itoa(t.Layer)
	if variant == "" {
		return name
	}
	return name + "__" + variant
}

// maxLayerDigits bounds the layer number in a column name.
const maxLayerDigits = 6

// ParseColumn is the inverse of Column. ok is false when name is not exactly what
// Column would give, so that a data set's own column "fc1_01" stays its own.
func ParseColumn(name string) (t Tap, variant string, ok bool) {
	for _, s := range Sites {
		rest, found := strings.CutPrefix(name, string(s)+"_")
		if !found {
			continue
		}
		digits, variant, adapted := strings.Cut(rest, "__")
		layer, good := parseLayer(digits)
		if !good || adapted && variant == "" {
			return Tap{}, "", false
		}
		return Tap{Site: s, Layer: layer}, variant, true
	}
	return Tap{}, "", false
}

func parseLayer(s string) (int, bool) {
	if s == "" || len(s) > maxLayerDigits || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// ParseSites reads "all" or a comma list of sites and returns them in canonical
// order, each once.
func ParseSites(s string) ([]Site, error) {
	if strings.TrimSpace(s) == "all" {
		return slices.Clone(Sites), nil
	}
	var want []Site
	for _, item := range strings.Split(s, ",") {
		site := Site(strings.TrimSpace(item))
		if !slices.Contains(Sites, site) {
			return nil, fmt.Errorf("site %q: unknown, the sites are %s or all", site, siteList())
		}
		want = append(want, site)
	}
	return canonical(want), nil
}

func siteList() string {
	names := make([]string, len(Sites))
	for i, s := range Sites {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func canonical(want []Site) []Site {
	var out []Site
	for _, s := range Sites {
		if slices.Contains(want, s) {
			out = append(out, s)
		}
	}
	return out
}

// Cross is the column order of a run: layer by layer in the order given, and
// inside a layer the sites in canonical order, whatever order they are given in.
func Cross(sites []Site, layers []int) []Tap {
	order := canonical(sites)
	taps := make([]Tap, 0, len(order)*len(layers))
	for _, l := range layers {
		for _, s := range order {
			taps = append(taps, Tap{Site: s, Layer: l})
		}
	}
	return taps
}
