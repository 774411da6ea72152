package tap

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestColumn(t *testing.T) {
	for _, c := range []struct {
		tap     Tap
		variant string
		want    string
	}{
		{Tap{FC1, 12}, "", "fc1_12"},
		{Tap{FC1, 12}, "ia3", "fc1_12__ia3"},
		{Tap{OutProj, 0}, "a__b", "out_proj_0__a__b"},
		{Tap{Wqkv, 3}, "_x", "Wqkv_3___x"},
	} {
		if got := c.tap.Column(c.variant); got != c.want {
			t.Errorf("%v.Column(%q) = %q, want %q", c.tap, c.variant, got, c.want)
		}
		tp, v, ok := ParseColumn(c.want)
		if !ok || tp != c.tap || v != c.variant {
			t.Errorf("ParseColumn(%q) = %v, %q, %v", c.want, tp, v, ok)
		}
	}
}

func TestParseColumnRefuses(t *testing.T) {
	for _, name := range []string{
		"", "fc1", "fc1_", "fc1_01", "fc1_-1", "fc1_1_", "fc1_1__", "fc1_1_ia3", "fc1_x",
		"FC1_1", "fc3_1", "fc1_1 ", "fc1_9999999", "label", "out_proj", "wqkv_1",
	} {
		if tp, v, ok := ParseColumn(name); ok {
			t.Errorf("ParseColumn(%q) = %v, %q: want not ok", name, tp, v)
		}
	}
}

func TestColumnRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tp := Tap{rapid.SampledFrom(Every).Draw(t, "site"), rapid.IntRange(0, 999999).Draw(t, "layer")}
		variant := rapid.String().Draw(t, "variant")
		got, v, ok := ParseColumn(tp.Column(variant))
		if !ok || got != tp || v != variant {
			t.Fatalf("%v %q came back as %v %q %v", tp, variant, got, v, ok)
		}
	})
}

func TestParseColumnIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`(fc1|Wqkv|resid|resid_mid|z|x)?_?[0-9]{0,3}_{0,3}[a-z]{0,3}`).Draw(t, "name")
		if tp, v, ok := ParseColumn(name); ok && tp.Column(v) != name {
			t.Fatalf("ParseColumn(%q) accepted, but Column gives %q", name, tp.Column(v))
		}
	})
}

func TestParseChoice(t *testing.T) {
	for s, want := range map[string][]Site{
		"all":                 Sites,
		"every":               Every,
		"resid,fc1":           {FC1, Resid},
		" fc2 , out_proj,fc2": {OutProj, FC2},
		"hook_z,mlp.hook_in":  {Z, MLPIn},
		"final_norm,mlp_act":  {Act, Final},
		"model.norm":          {Final},
	} {
		got, err := ParseChoice(s, "llama")
		if err != nil || !slices.Equal(got.Sites, want) || got.Loose != (s == "all" || s == "every") || len(got.Taps) > 0 {
			t.Errorf("ParseChoice(%q) = %+v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "fc3", "fc1,", "wqkv", "hook_in", "hook_out"} {
		if _, err := ParseChoice(s, "llama"); err == nil || !strings.Contains(err.Error(), "out_proj") {
			t.Errorf("ParseChoice(%q): %v, want an error listing the sites", s, err)
		}
	}
}

// A name of another program is the tap of the same vectors, or refused where its vectors are others.
func TestAliases(t *testing.T) {
	for _, c := range []struct{ modelType, name, want string }{
		{"", "fc1_12", "fc1_12"},
		{"", "resid_post.12", "resid_12"},
		{"", "mlp_in.3", "mlp_in_3"},
		{"", "attn_out_post.3", "attn_out_3"},
		{"", "attn_out.3", ""},
		{"", "resid_pre.0", "embed_0"},
		{"", "resid_pre.4", "resid_3"},
		{"", "blocks.12.hook_resid_post", "resid_12"},
		{"", "blocks.12.hook_resid_pre", "resid_11"},
		{"", "blocks.3.attn.hook_z", "z_3"},
		{"", "blocks.3.hook_mlp_in", "resid_mid_3"},
		{"", "blocks.3.mlp.hook_in", "mlp_in_3"},
		{"", "blocks.3.hook_mlp_out", "mlp_out_3"},
		{"", "blocks.3.mlp.hook_out", "fc2_3"},
		{"", "blocks.3.ln2.hook_normalized", ""},
		{"", "hook_embed", ""},
		{"", "hook_resid_pre", ""},
		{"", "blocks.3.hook_nothing", ""},
		{"", "model.layers.12.mlp.down_proj", ""},
		{"llama", "model.layers.12.mlp.down_proj", "fc2_12"},
		{"llama", "model.layers.12.mlp.down_proj.output", "fc2_12"},
		{"llama", "model.layers[12].mlp.down_proj.input", "act_12"},
		{"llama", "model.layers.12.mlp", "fc2_12"},
		{"llama", "model.layers.12.mlp.input", "mlp_in_12"},
		{"llama", "model.layers.12.mlp.gate_proj.input", "mlp_in_12"},
		{"llama", "model.layers.12.mlp.gate_proj", ""}, // fc1 is both
		{"llama", "model.layers.12.self_attn", "out_proj_12"},
		{"llama", "model.layers.12.self_attn.o_proj.input", "z_12"},
		{"llama", "model.layers.12.input_layernorm", "attn_in_12"},
		{"llama", "model.layers.12.post_attention_layernorm", "mlp_in_12"},
		{"llama", "model.layers.12.post_attention_layernorm.input", "resid_mid_12"},
		{"gemma2", "model.layers.12.post_attention_layernorm", "attn_out_12"},
		{"gemma2", "model.layers.12.pre_feedforward_layernorm", "mlp_in_12"},
		{"gemma2", "model.layers.12.post_feedforward_layernorm", "mlp_out_12"},
		{"llama", "model.layers.12", "resid_12"},
		{"llama", "model.layers.12.input", "resid_11"},
		{"llama", "model.layers.0.input", "embed_0"},
		{"gpt2", "transformer.h.1.attn.c_attn", "Wqkv_1"},
		{"gpt2", "model.layers.1.mlp", ""},
		{"gpt_neox", "gpt_neox.layers.1.attention.query_key_value", ""}, // in another order
		{"phi", "model.layers.2.input_layernorm", "attn_in_2"},
		{"phi", "model.layers.2.mlp.fc1.input", "mlp_in_2"},
		{"llama", "model.layers.01.mlp", ""},
		{"llama", "model.layers..mlp", ""},
		{"llama", "model.layers.9999999.mlp", ""},
	} {
		got, err := ParseChoice(c.name, c.modelType)
		var column string
		if len(got.Taps) == 1 && len(got.Sites) == 0 {
			column = got.Taps[0].Column("")
		}
		if column != c.want || (err == nil) != (c.want != "") || err == nil && (c.name != c.want) != (len(got.Notes) == 1) {
			t.Errorf("%s %s: %+v, %v, want %q", c.modelType, c.name, got, err, c.want)
		}
	}
}

// Whatever place a tap has in a model leads back to it, or to a tap of the same vectors.
func TestPlacesLeadBack(t *testing.T) {
	same := map[Site][]Site{AttnOut: {OutProj}, MLPOut: {FC2}, MLPIn: {AttnIn, ResidMid}}
	for kind, m := range families {
		for _, site := range Every {
			for _, p := range m.Places(Tap{site, 0}) {
				if len(p.Modules) > 1 || p.Grouped || p.Choice {
					continue
				}
				name := p.Modules[0]
				if p.Input {
					name += ".input"
				}
				got, err := ParseChoice(name, kind)
				for _, tp := range got.Taps {
					got.Sites = append(got.Sites, tp.Site)
				}
				if err != nil || len(got.Sites) != 1 || got.Sites[0] != site && !slices.Contains(same[site], got.Sites[0]) {
					t.Errorf("%s: %s is %v (%v), want %s", kind, name, got.Sites, err, site)
				}
			}
		}
	}
}

// A choice that cannot be is refused with what to ask for.
func TestChoiceSaysWhatToAskFor(t *testing.T) {
	for _, c := range []struct{ sites, modelType, want string }{
		{"all,every", "llama", `"all": it is a whole list, and stands alone`},
		{"resid, every", "", `"every": it is a whole list`},
		{"gate_proj", "llama", "a part of fc1"},
		{"model.layers.12.mlp.up_proj", "llama", "a part of fc1"},
		{"model.layers[1].self_attn.q_proj.output", "llama", "a part of Wqkv"},
		{"q_proj", "llama", "a part of Wqkv"},
		{"kv_a_proj_with_mqa", "deepseek_v3", "a part of Wqkv"},
		{"query_key_value", "gpt_neox", "Wqkv has them in the order q, k, v"},
		{"gpt_neox.layers.1.attention.query_key_value", "gpt_neox", "Wqkv has them in the order q, k, v"},
		{"proj", "llama", "unknown"},
		{"", "llama", "unknown"},
		{"q_proj", "gpt2", "unknown"},
	} {
		if _, err := ParseChoice(c.sites, c.modelType); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v, want %q", c.sites, c.modelType, err, c.want)
		}
	}
	c := Choice{Sites: Sites, Taps: []Tap{{Resid, 3}, {Resid, 9}}}
	if err := c.Check(4); err == nil || err.Error() != "resid_9: the model has layers 0 to 3" || c.Check(10) != nil {
		t.Errorf("layer 9 of 4: %v; of 10: %v", err, c.Check(10))
	}
}

func TestFormatLayers(t *testing.T) {
	for _, text := range []string{"0", "0-3", "0-1,3,5-7", "2,4"} {
		layers, err := ParseLayers(text, 8)
		if err != nil || FormatLayers(layers) != text {
			t.Errorf("%s is %v (%v), written %s", text, layers, err, FormatLayers(layers))
		}
	}
}

func TestChoiceAt(t *testing.T) {
	c, err := ParseChoice("resid,blocks.3.hook_z,fc1_1,fc1", "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Tap{{FC1, 0}, {Resid, 0}, {FC1, 1}, {Resid, 1}, {Z, 3}}
	if got := c.At([]int{0, 1}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParseChoiceGivesACopy(t *testing.T) {
	got, _ := ParseChoice("all", "")
	got.Sites[0] = "changed"
	if Sites[0] != Wqkv {
		t.Fatal("ParseChoice(all) gave away the list itself")
	}
}

func TestParseLayers(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want []int
	}{
		{"all", 3, []int{0, 1, 2}},
		{"0,5,10-12", 32, []int{0, 5, 10, 11, 12}},
		{"-1", 32, []int{31}},
		{"-4--1", 6, []int{2, 3, 4, 5}},
		{"2--1", 4, []int{2, 3}},
		{"10,9, 9,1", 12, []int{1, 9, 10}},
		{"0-0", 1, []int{0}},
	} {
		got, err := ParseLayers(c.s, c.n)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("ParseLayers(%q, %d) = %v, %v, want %v", c.s, c.n, got, err, c.want)
		}
	}
	for _, s := range []string{"", "x", "4", "-5", "-0", "0-4", "3-1", "1-", "--1", "0,,1", "1 2", "99999999999999999999"} {
		if got, err := ParseLayers(s, 4); err == nil {
			t.Errorf("ParseLayers(%q, 4) = %v, want an error", s, got)
		}
	}
	if _, err := ParseLayers("all", 0); err == nil {
		t.Error("a model without layers was accepted")
	}
}

func TestParseLayersProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		s := rapid.StringMatching(`-?[0-9]{1,2}(-[0-9]{1,2})?(,-?[0-9]{1,2}){0,3}`).Draw(t, "s")
		got, err := ParseLayers(s, n)
		if err != nil {
			return
		}
		for i, l := range got {
			if l < 0 || l >= n || i > 0 && l <= got[i-1] {
				t.Fatalf("ParseLayers(%q, %d) = %v", s, n, got)
			}
		}
	})
}

func TestCross(t *testing.T) {
	got := Cross([]Site{Resid, Wqkv}, []int{2, 10})
	want := []Tap{{Wqkv, 2}, {Resid, 2}, {Wqkv, 10}, {Resid, 10}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Cross = %v, want %v", got, want)
	}
}

func TestRule(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want []int
	}{
		{"last", 5, []int{4}},
		{"last", 0, nil},
		{"all", 3, []int{0, 1, 2}},
		{"every:2", 5, []int{0, 2, 4}},
		{"every:7", 5, []int{0}},
		{"every:1", 2, []int{0, 1}},
		{"pos:0", 1, []int{0}},
		{"pos:3", 3, nil},
		{"pos:-2", 3, []int{1}},
		{"pos:-4", 3, nil},
	} {
		r, err := ParseRule(c.s)
		if err != nil {
			t.Fatal(err)
		}
		if r.String() != c.s {
			t.Errorf("%q is spelled %q", c.s, r)
		}
		if got := r.Positions(c.n); !slices.Equal(got, c.want) {
			t.Errorf("%q of %d = %v, want %v", c.s, c.n, got, c.want)
		}
	}
	for _, s := range []string{"assistant", "user", "system", "not-special", "mask:m", "span:a:b", "mask: x"} {
		r, err := ParseRule(s)
		if err != nil || r.String() != s || !r.FromData() || r.Positions(9) != nil {
			t.Errorf("%q: %q, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "first", "assistant:", "tool", "not-special:x", "mask", "mask:", "span:\xff", "last:1", "all:", "every", "every:0", "every:-1", "every:x", "pos", "pos:", "pos:1.5", "pos:99999999999"} {
		if _, err := ParseRule(s); err == nil {
			t.Errorf("ParseRule(%q) accepted", s)
		}
	}
}

func TestPositionsAreInsideAndAscending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`last|all|every:[1-9][0-9]?|pos:-?[0-9]{1,2}`).Draw(t, "rule")
		n := rapid.IntRange(0, 100).Draw(t, "n")
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		prev := -1
		for _, p := range r.Positions(n) {
			if p <= prev || p >= n {
				t.Fatalf("%s of %d: %v", s, n, r.Positions(n))
			}
			prev = p
		}
	})
}

// L9: layers are numbers: 2 comes before 10, in lists, in taps and in what both are sorted by.
func TestNeverAgainL9LayersAreInNaturalOrder(t *testing.T) {
	layers, err := ParseLayers("10,2,0-1,11", 12)
	if err != nil || !slices.Equal(layers, []int{0, 1, 2, 10, 11}) {
		t.Errorf("%v, %v", layers, err)
	}
	taps := Cross([]Site{FC2}, layers)
	sorted := slices.Clone(taps)
	slices.Reverse(sorted)
	slices.SortFunc(sorted, Tap.Compare)
	for i, l := range layers {
		if taps[i].Layer != l || sorted[i].Layer != l {
			t.Errorf("layer %d: %v, sorted %v", l, taps, sorted)
		}
	}
}
