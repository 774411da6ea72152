package tap

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// lens are the sites under the names of TransformerLens, of a block: HookedTransformer's and TransformerBridge's. Its
// hook_mlp_in is a copy of the residual stream before the norm.
var lens = map[string]Site{
	"attn.hook_in": AttnIn, "attn.hook_z": Z, "attn.hook_out": OutProj, "hook_attn_out": AttnOut, "hook_resid_mid": ResidMid,
	"hook_mlp_in": ResidMid, "mlp.hook_in": MLPIn, "mlp.hook_pre": FC1, "mlp.hook_post": Act, "mlp.hook_out": FC2,
	"hook_mlp_out": MLPOut, "hook_resid_post": Resid,
}

// points are the sites under the names of interp-engine, where they are not ours (its attn_out and mlp_out are what the
// modules give), and under TransformerLens's outside of blocks.
var points = map[string]Site{
	"attn_out_post": AttnOut, "mlp_pre": FC1, "mlp_act": Act, "mlp_out_post": MLPOut, "resid_post": Resid, "final_norm": Final, "unembed.hook_in": Final,
}

// other are names of other vectors than the nearest site's, and what to say instead.
var other = map[string]string{
	"hook_normalized": "it is the norm's input over its size, without the norm's weight; attn_in and mlp_in are with it",
	"hook_embed":      "it is the token embedding before positions are added; embed is what the first block reads",
	"hook_attn_in":    "it is the residual stream before the norm, resid of the layer before; attn_in is after the norm",
	"attn_out":        "interp-engine means what the module gives, out_proj here; attn_out_post is what is added, attn_out here",
	"mlp_out":         "interp-engine means what the module gives, fc2 here; mlp_out_post is what is added, mlp_out here",
}

var (
	lensBlock = regexp.MustCompile(`^blocks\.([0-9]{1,6})\.(.+)$`)
	dotted    = regexp.MustCompile(`^([a-z_]+)\.([0-9]{1,6})$`)
	indexed   = regexp.MustCompile(`\[([0-9]{1,6})\]`)
)

// pick is a site at all layers asked for, or a tap.
type pick struct {
	site  Site
	layer int // -1: all layers asked for
}

// parsePick reads a site, a column, or either's name in another program, for a model of a type.
func parsePick(name, modelType string) (p pick, err error) {
	if slices.Contains(Every, Site(name)) {
		return pick{Site(name), -1}, nil
	}
	if t, variant, ok := ParseColumn(name); ok && variant == "" {
		return pick{t.Site, t.Layer}, nil
	}
	bare, layer := name, -1
	if m := lensBlock.FindStringSubmatch(name); m != nil {
		bare = m[2]
		layer, _ = parseLayer(m[1])
	} else if m := dotted.FindStringSubmatch(name); m != nil {
		bare = m[1]
		layer, _ = parseLayer(m[2])
	}
	if site, ok := aliasOf(bare, layer >= 0); ok {
		return pick{site, layer}, nil
	}
	if bare == "hook_resid_pre" || bare == "resid_pre" {
		return before(name, layer)
	}
	if p, ok := module(name, modelType); ok {
		return p, nil
	}
	return p, unknown(name, bare, modelType)
}

// aliasOf is a site by its name in another program; with a layer behind a dot, ours too.
func aliasOf(name string, layered bool) (Site, bool) {
	if _, differs := other[name]; differs {
		return "", false
	}
	if site, ok := lens[name]; ok {
		return site, true
	}
	for long, site := range lens { // hook_z
		if !strings.HasSuffix(long, ".hook_in") && !strings.HasSuffix(long, ".hook_out") && strings.HasSuffix(long, "."+name) {
			return site, true
		}
	}
	if site, ok := points[name]; ok {
		return site, true
	}
	return Site(name), layered && slices.Contains(Every, Site(name))
}

// before is what a block reads: what the one before gives.
func before(name string, layer int) (pick, error) {
	switch layer {
	case -1:
		return pick{}, fmt.Errorf("site %q: it is resid of the layer before, and embed of layer 0", name)
	case 0:
		return pick{Embed, 0}, nil
	}
	return pick{Resid, layer - 1}, nil
}

// module finds a module of transformers, what it gives (.output or nothing behind it) or reads (.input).
func module(name, modelType string) (pick, bool) {
	m, ok := ModulesOf(modelType)
	if !ok {
		return pick{}, false
	}
	name, input := strings.CutSuffix(plainModule(name), ".input")
	return m.find(name, input)
}

// plainModule is a module's name as transformers writes it, without the .output that nnsight puts behind.
func plainModule(name string) string {
	return strings.TrimSuffix(indexed.ReplaceAllString(name, ".$1"), ".output")
}

func unknown(name, bare, modelType string) error {
	if m, ok := ModulesOf(modelType); ok {
		if why := m.nearby(plainModule(name)); why != "" {
			return fmt.Errorf("site %q: %s", name, why)
		}
	}
	if why := other[bare]; why != "" {
		return fmt.Errorf("site %q: %s", name, why)
	}
	if why := other[bare[strings.LastIndexByte(bare, '.')+1:]]; why != "" {
		return fmt.Errorf("site %q: %s", name, why)
	}
	return fmt.Errorf("site %q: unknown, the sites are %s, or all (%s) or every; names of TransformerLens, transformers and interp-engine are in docs/sites.md",
		name, list(Every), list(Sites))
}
