package tap

import "testing"

// Every name that a tap has in another program is understood as that tap.
func TestNamesAreUnderstood(t *testing.T) {
	for kind := range families {
		for _, site := range Every {
			at := Tap{site, 3}
			if site == Embed {
				at.Layer = 0
			}
			n := NamesOf(kind, at)
			for _, name := range []string{n.TransformerLens, n.HuggingFace, n.InterpEngine} {
				if name == "" || site == Final || name == "attn_out.3" || name == "mlp_out.3" {
					continue
				}
				c, err := ParseChoice(name, kind)
				if err != nil || len(c.Taps) != 1 || c.Taps[0] != at && !sameVectors(families[kind], at.Site, c.Taps[0].Site) {
					t.Errorf("%s: %s is %v, %v, want %v", kind, name, c, err, at)
				}
			}
		}
	}
	if n := NamesOf("bert", Tap{Resid, 1}); n != (Names{}) {
		t.Errorf("names of an unknown family: %+v", n)
	}
}

// sameVectors says whether two sites of a family are the same one.
func sameVectors(m Modules, a, b Site) bool {
	switch {
	case a == OutProj && b == AttnOut, a == AttnOut && b == OutProj, a == FC2 && b == MLPOut, a == MLPOut && b == FC2:
		return m.plain()
	}
	return a == MLPIn && b == AttnIn && m.MLPNorm == ""
}
