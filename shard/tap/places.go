package tap

import (
	"fmt"
	"slices"
	"strings"
)

// Place is where transformers has the vectors of a tap: the outputs of modules, side by side, or what a module reads.
type Place struct {
	Modules []string `json:"modules"`
	Input   bool     `json:"input,omitempty"`
	// Grouped says that the vectors lie there key head by key head (Modules.Grouped), in another order than the tap's.
	Grouped bool `json:"grouped,omitempty"`
	// Choice says that they are what a router chose, which it gives beside its logits.
	Choice bool `json:"choice,omitempty"`
}

// Places are those of a tap, all with the same vectors. Where a family multiplies what attention and MLP add by a
// factor, attn_out and mlp_out lie there without it; a family whose blocks compute the two side by side has no resid_mid.
func (m Modules) Places(t Tap) []Place {
	block := m.block(t.Layer)
	in := func(modules ...string) []Place { return places(block, true, modules) }
	out := func(modules ...string) []Place { return places(block, false, modules) }
	switch t.Site {
	case Embed:
		return []Place{{Modules: []string{block}, Input: true}}
	case AttnIn:
		return append(out(m.AttnNorm), in(first(m.Latent.QueryDown, m.Q, m.QKV), parent(m.Out))...)
	case Wqkv:
		return m.joined(block)
	case Z:
		return in(m.Out)
	case OutProj:
		return out(m.whole(m.Out)...)
	case AttnOut:
		return out(first(m.PostAttn, m.Out))
	case ResidMid:
		if m.MLPNorm == "" && m.AttnNorm == "" { // norms after, and none before
			return in(first(m.Gate, m.GateUp, m.FC1))
		}
		return in(m.MLPNorm)
	case MLPIn:
		return append(out(first(m.MLPNorm, m.AttnNorm)), in(first(m.Gate, m.GateUp, m.FC1), parent(m.FC2))...)
	case Router:
		return out(m.Experts.Router)
	case Experts:
		chosen := out(m.Experts.Router)
		for i := range chosen {
			chosen[i].Choice = true
		}
		return chosen
	case FC1:
		return m.first(block)
	case Act:
		return in(m.FC2)
	case FC2:
		return out(m.whole(m.FC2)...)
	case MLPOut:
		if m.PostMLP == "" {
			return out(m.whole(m.FC2)...)
		}
		return out(m.PostMLP)
	case Resid:
		return []Place{{Modules: []string{block}}, {Modules: []string{m.block(t.Layer + 1)}, Input: true}}
	case Final:
		return []Place{{Modules: []string{m.Norm}}}
	}
	return nil
}

// joined are the places of Wqkv.
func (m Modules) joined(block string) []Place {
	if m.QKV != "" {
		return []Place{{Modules: []string{block + "." + m.QKV}, Grouped: m.Grouped}}
	}
	if m.Latent.Down != "" {
		return []Place{{Modules: []string{block + "." + first(m.Latent.QueryUp, m.Q), block + "." + m.Latent.Down}}}
	}
	return []Place{{Modules: []string{block + "." + m.Q, block + "." + m.K, block + "." + m.V}}}
}

// whole are a part's last projection and, where it gives the same, the part.
func (m Modules) whole(last string) []string {
	if m.Sums {
		return []string{last}
	}
	return []string{last, parent(last)}
}

// first are the places of fc1.
func (m Modules) first(block string) []Place {
	if m.Gate != "" {
		return []Place{{Modules: []string{block + "." + m.Gate, block + "." + m.Up}}}
	}
	return places(block, false, []string{first(m.GateUp, m.FC1)})
}

// block is the name of a layer's block.
func (m Modules) block(layer int) string { return fmt.Sprintf(m.Block, layer+m.First) }

// places are modules of a block, one each; those without a name are left out.
func places(block string, input bool, modules []string) (out []Place) {
	for _, name := range modules {
		if name != "" {
			out = append(out, Place{Modules: []string{block + "." + name}, Input: input})
		}
	}
	return out
}

// first is the first name that is one.
func first(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// parent is the module that a module lies in, or "".
func parent(module string) string {
	outer, _, inside := strings.Cut(module, ".")
	if !inside {
		return ""
	}
	return outer
}

// find is the tap whose vectors a module reads or gives.
func (m Modules) find(module string, input bool) (pick, bool) {
	layer, ok := m.layerOf(module)
	if !ok {
		return pick{Final, -1}, module == m.Norm && !input
	}
	for l := layer; l >= max(layer-1, 0); l-- { // a block reads what the one before gives
		for _, site := range Every {
			if site == Embed && l > 0 {
				continue
			}
			for _, p := range m.Places(Tap{site, l}) {
				if len(p.Modules) == 1 && p.Modules[0] == module && p.Input == input && !p.Grouped && !p.Choice {
					return pick{site, l}, true
				}
			}
		}
	}
	return pick{}, false
}

// nearby says of a module, with or without its block before it, that it gives a part of a site, or the site in another
// order; "" of others.
func (m Modules) nearby(module string) string {
	layer, _ := m.layerOf(module)
	for _, site := range []Site{Wqkv, FC1} {
		for _, p := range m.Places(Tap{site, max(layer, 0)}) {
			if !slices.ContainsFunc(p.Modules, func(name string) bool { return name == module || strings.HasSuffix(name, "."+module) }) {
				continue
			}
			if p.Grouped {
				return fmt.Sprintf("it gives q, k and v head by head; %s has them in the order q, k, v", site)
			}
			if len(p.Modules) > 1 {
				return fmt.Sprintf("it gives a part of %s: collect that and cut it (docs/sites.md)", site)
			}
		}
	}
	return ""
}

// layerOf is the layer of the block that a module is, or lies in.
func (m Modules) layerOf(module string) (layer int, ok bool) {
	rest, ok := strings.CutPrefix(module, strings.TrimSuffix(m.Block, "%d"))
	number, _, _ := strings.Cut(rest, ".")
	layer, good := parseLayer(number)
	return layer - m.First, ok && good && layer >= m.First
}
