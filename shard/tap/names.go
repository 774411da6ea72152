package tap

import "fmt"

// Names are what other programs call a tap. A name is empty where a program has none for just these vectors: where it has
// queries, keys and values one by one, the gate and the rest one by one, or a module reads them and none gives them.
type Names struct {
	TransformerLens string // a hook of HookedTransformer or of TransformerBridge
	HuggingFace     string // a module of transformers whose output it is
	InterpEngine    string // a point of interp-engine
}

// NamesOf are those of a tap in a model of a model_type. They are empty where nothing is known of the type.
func NamesOf(modelType string, t Tap) (n Names) {
	m, ok := ModulesOf(modelType)
	if !ok {
		return n
	}
	for _, p := range m.Places(t) {
		if !p.Input && !p.Grouped && !p.Choice && len(p.Modules) == 1 && !(m.Scaled && (t.Site == AttnOut || t.Site == MLPOut)) {
			n.HuggingFace = p.Modules[0]
			break
		}
	}
	if hook := m.hook(t.Site); hook != "" {
		n.TransformerLens = fmt.Sprintf("blocks.%d.%s", t.Layer, hook)
	}
	if point := m.point(t.Site); point != "" {
		n.InterpEngine = fmt.Sprintf("%s.%d", point, t.Layer)
	}
	if t.Site == Final {
		n.TransformerLens, n.InterpEngine = "unembed.hook_in", "final_norm"
	}
	return n
}

// hook is TransformerLens's name of a site in a block.
func (m Modules) hook(s Site) string {
	switch s {
	case Embed:
		return "hook_resid_pre"
	case OutProj:
		if m.plain() { // HookedTransformer has only what is added
			return "hook_attn_out"
		}
		return "attn.hook_out"
	case FC2:
		if m.plain() {
			return "hook_mlp_out"
		}
		return "mlp.hook_out"
	case FC1:
		if m.gated() {
			return ""
		}
		return "mlp.hook_pre"
	}
	return map[Site]string{AttnIn: "attn.hook_in", Z: "attn.hook_z", AttnOut: "hook_attn_out", ResidMid: "hook_resid_mid",
		MLPIn: "mlp.hook_in", Act: "mlp.hook_post", MLPOut: "hook_mlp_out", Resid: "hook_resid_post"}[s]
}

// point is interp-engine's name of a site in a block.
func (m Modules) point(s Site) string {
	if s == FC1 && m.gated() {
		return ""
	}
	return map[Site]string{Embed: "resid_pre", AttnIn: "attn_in", Z: "z", OutProj: "attn_out", AttnOut: "attn_out_post", ResidMid: "resid_mid",
		MLPIn: "mlp_in", FC1: "mlp_pre", Act: "mlp_act", FC2: "mlp_out", MLPOut: "mlp_out_post", Resid: "resid_post"}[s]
}

// plain says whether what attention and MLP give is added as it is.
func (m Modules) plain() bool { return m.PostAttn == "" && m.PostMLP == "" && !m.Scaled }

// gated says whether fc1 is [gate|up].
func (m Modules) gated() bool { return m.Gate != "" || m.GateUp != "" }
