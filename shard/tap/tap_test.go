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
		tp := Tap{rapid.SampledFrom(Sites).Draw(t, "site"), rapid.IntRange(0, 999999).Draw(t, "layer")}
		variant := rapid.String().Draw(t, "variant")
		got, v, ok := ParseColumn(tp.Column(variant))
		if !ok || got != tp || v != variant {
			t.Fatalf("%v %q came back as %v %q %v", tp, variant, got, v, ok)
		}
	})
}

func TestParseColumnIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`(fc1|Wqkv|resid|x)?_?[0-9]{0,3}_{0,3}[a-z]{0,3}`).Draw(t, "name")
		if tp, v, ok := ParseColumn(name); ok && tp.Column(v) != name {
			t.Fatalf("ParseColumn(%q) accepted, but Column gives %q", name, tp.Column(v))
		}
	})
}

func TestParseSites(t *testing.T) {
	for s, want := range map[string][]Site{
		"all":                 Sites,
		"resid,fc1":           {FC1, Resid},
		" fc2 , out_proj,fc2": {OutProj, FC2},
	} {
		got, err := ParseSites(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseSites(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "fc3", "fc1,", "all,fc1", "wqkv"} {
		if _, err := ParseSites(s); err == nil || !strings.Contains(err.Error(), "out_proj") {
			t.Errorf("ParseSites(%q): %v, want an error listing the sites", s, err)
		}
	}
}

func TestParseSitesAllIsACopy(t *testing.T) {
	got, _ := ParseSites("all")
	got[0] = "changed"
	if Sites[0] != Wqkv {
		t.Fatal("ParseSites(all) gave away the list itself")
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
