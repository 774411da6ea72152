package report

import (
	"math"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/coder"
)

func coderAt(name, kind string, layer int, metrics map[string]float64) Coder {
	return Coder{Name: name, Kind: kind, Site: "fc2", Layer: layer, Width: 1024, Eval: &coder.Evaluation{Metrics: metrics}}
}

// Only coders that no sparser one beats are on the frontier, and equal sparsity is decided by the score.
func TestFrontier(t *testing.T) {
	spots := []spot{{0, "d", 64, .9}, {1, "a", 8, .5}, {2, "b", 16, .8}, {3, "worse", 32, .7}, {4, "same", 16, .6}}
	var names []string
	for _, s := range tradeoffs[0].frontier(spots) {
		names = append(names, s.name)
	}
	if got := strings.Join(names, " "); got != "a b d" {
		t.Errorf("frontier %s", got)
	}
}

// Coders of different places are never in one drawing, and one coder alone makes none.
func TestTradeoffsByPlace(t *testing.T) {
	m := func(l0, fvu float64) map[string]float64 { return map[string]float64{"l0": l0, "fvu": fvu} }
	coders := []Coder{coderAt("a", "sae", 10, m(8, .1)), coderAt("b", "sae", 2, m(8, .1)), coderAt("c", "sae", 10, m(16, .05)),
		coderAt("q", "vq", 2, map[string]float64{"fvu": .3}), coderAt("bad", "sae", 10, m(math.Inf(1), .1)), coderAt("zero", "sae", 10, m(0, 0))}
	if got := tradeoffs[0].drawings(coders, map[int]bool{}); len(got) != 1 || !strings.Contains(got[0].label, "layer 10") {
		t.Errorf("%d drawings of sparsity", len(got))
	}
	if got := tradeoffs[1].drawings(coders, map[int]bool{}); len(got) != 1 || !strings.Contains(got[0].label, "layer 2") {
		t.Errorf("%d drawings of rates", len(got))
	}
}

func TestRate(t *testing.T) {
	x, _, _ := rate(coderAt("q", "vq", 0, map[string]float64{"fvu": .3}))
	y, _, _ := rate(coderAt("s", "sae", 0, map[string]float64{"fvu": .3, "l0": 4}))
	z, _, _ := rate(coderAt("r", "vq", 0, map[string]float64{"fvu": .3, "bits": 40}))
	if ways := math.Log2(1024 * 1023 * 1022 * 1021 / 24); x != 10 || math.Abs(y-ways-4*8) > 1e-9 || z != 40 {
		t.Errorf("%v, %v and %v bits", x, y, z)
	}
}

// The page stays small whatever eval.json holds, and text that turns around or breaks lines is shown as such.
func TestBrowserIsBounded(t *testing.T) {
	c := coderAt("s", "sae", 0, map[string]float64{})
	for i := range 5000 {
		l := coder.Latent{Index: i}
		for range 50 {
			l.Top = append(l.Top, coder.Context{Value: float32(math.NaN()), Before: strings.Repeat("x", 10_000), Token: "a\nb\u202ec\x00"})
		}
		c.Eval.Latents = append(c.Eval.Latents, l)
	}
	all := browsers([]Coder{c, c, c})
	for _, b := range all {
		if len(b.Latents) != maxLatents/3 || len(b.Latents[0].More) != maxContexts-1 {
			t.Errorf("%d latents, %d rows more", len(b.Latents), len(b.Latents[0].More))
		}
		first := b.Latents[0].First
		if first.Token != "a⏎b�c�" || len([]rune(first.Before)) != maxTextRunes+1 || first.Share != 0 {
			t.Errorf("%q, %d letters, share %d", first.Token, len(first.Before), first.Share)
		}
	}
	if !slices.IsSortedFunc(all[0].Latents, func(a, b latentView) int { return a.Index - b.Index }) {
		t.Error("latents out of order")
	}
}

// Bins that make no histogram are left out rather than drawn.
func TestHostileHistogram(t *testing.T) {
	for name, text := range map[string]string{"narrow": `{"densities":{"from":-3,"width":0,"count":[1]}}`, "many": `{"densities":{"from":-3,"width":1,"count":[` + strings.Repeat("1,", 200) + `1]}}`} {
		dir := t.TempDir()
		must(t, writeText(dir+"/eval.json", text))
		if e, err := loadEvaluation(dir); err != nil || e.Densities != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// Ticks that three digits cannot tell apart get more.
func TestTicksStayApart(t *testing.T) {
	got := numbers(scale{lo: .995, hi: 1.02}.ticks(6))
	if want := []string{"0.995", "1", "1.005", "1.01", "1.015", "1.02"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
