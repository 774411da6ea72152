package tap

import (
	"slices"
	"strconv"
	"strings"
)

// Site is a kind of place in a transformer.
type Site string

// The sites, by what they hold at each position of a prompt. Their widths are those of docs/sites.md.
const (
	// Embed is what the first block reads: the embedding, with its scale and learned positions. Only layer 0 has it.
	Embed Site = "embed"
	// AttnIn is what the attention reads: the residual stream after the norm before it, where there is one.
	AttnIn Site = "attn_in"
	// Wqkv is the joined query, key and value projection [q|k|v], with bias,
	// before rotary embedding and before any norm of q and k.
	Wqkv Site = "Wqkv"
	// Z is the mixed values of all heads side by side: the input of the output projection.
	Z Site = "z"
	// OutProj is the attention output projection, before any norm or factor and before the residual add.
	OutProj Site = "out_proj"
	// AttnOut is what attention adds to the residual stream: OutProj, after a norm and a factor where there are some.
	AttnOut Site = "attn_out"
	// ResidMid is the residual stream between attention and MLP. Blocks that compute the two side by side have none.
	ResidMid Site = "resid_mid"
	// MLPIn is what the MLP reads: the residual stream after the norm before it, where there is one.
	MLPIn Site = "mlp_in"
	// Router is the logits of the experts, where a mixture of experts stands in the MLP's place.
	Router Site = "router"
	// Experts is the numbers of the experts that the token goes through, the one with the greatest weight first: whole
	// numbers, not a vector.
	Experts Site = "experts"
	// FC1 is the first MLP projection before the activation function; [gate|up]
	// where a family has two.
	FC1 Site = "fc1"
	// Act is the input of the last MLP projection: after the activation function, and times up where there is a gate.
	Act Site = "act"
	// FC2 is the last MLP projection, before any norm or factor and before the residual add.
	FC2 Site = "fc2"
	// MLPOut is what the MLP adds to the residual stream: FC2, after a norm and a factor where there are some.
	MLPOut Site = "mlp_out"
	// Resid is the output of the block, before the final norm of the model.
	Resid Site = "resid"
	// Final is what the output matrix reads: Resid after the final norm. Only the last layer has it.
	Final Site = "final"
)

// Sites lists the sites that "all" stands for, in canonical order.
var Sites = []Site{Wqkv, OutProj, FC1, FC2, Resid}

// Every lists all sites in canonical order, that of the computation.
var Every = []Site{Embed, AttnIn, Wqkv, Z, OutProj, AttnOut, ResidMid, MLPIn, Router, Experts, FC1, Act, FC2, MLPOut, Resid, Final}

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
	at, variant, adapted := strings.Cut(name, "__")
	under := strings.LastIndexByte(at, '_')
	if under < 0 || adapted && variant == "" || !slices.Contains(Every, Site(at[:under])) {
		return Tap{}, "", false
	}
	layer, ok := parseLayer(at[under+1:])
	if !ok {
		return Tap{}, "", false
	}
	return Tap{Site: Site(at[:under]), Layer: layer}, variant, true
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

func list(sites []Site) string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func canonical(want []Site) []Site {
	var out []Site
	for _, s := range Every {
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
