package main

import (
	"bytes"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
)

func cardOf(t *testing.T, sets ...string) coder.Card {
	t.Helper()
	r, err := recipe.Load(coder.SAE, "", sets)
	if err != nil {
		t.Fatal(err)
	}
	return r.Card("fc2_1", nil, []int{8}, "")
}

// A table of coders says of each what binds its l0, and explains the marks that occur.
func TestTableMarksWhatKDoesNotBind(t *testing.T) {
	var table []measured
	for _, c := range []struct{ sets, want string }{
		{"arch=topk", "32"}, {"arch=multitopk", "32"}, {"arch=batchtopk", "≈32"}, {"arch=matryoshka", "≈32"},
		{"arch=relu", unbound}, {"arch=gated", unbound}, {"arch=jumprelu target_l0=20", "→20"},
	} {
		card := cardOf(t, strings.Fields(c.sets)...)
		if got := boundText(card); got != c.want {
			t.Errorf("%s: %q, want %q", c.sets, got, c.want)
		}
		table = append(table, measured{Dir: card.Arch, Arch: card.Arch, K: boundText(card), Evaluation: coder.Evaluation{
			Metrics: map[string]float64{"fvu": .5, "fvu_all": .1, "kl_score": .9, "kl_score_low": .8, "kl_score_high": .95},
			Notes:   map[string]string{"loss_recovered": "there is nothing to recover"}}})
	}
	var out bytes.Buffer
	if err := printMeasured(&out, table); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"≈ one threshold", "→ target_l0", "* k does not bind", "fvu_all", "0.9 (0.8–0.95)", "loss_recovered –: there is nothing"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
	out.Reset()
	if err := printMeasured(&out, table[:1]); err != nil || strings.Contains(out.String(), "kl_score_low") || !strings.Contains(out.String(), "0.9 (0.8–0.95)") || !strings.Contains(out.String(), "  k 32\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if _, err := recipe.Load(coder.SAE, "", []string{"arch=topk", "target_l0=8"}); err == nil || !strings.Contains(err.Error(), "target_l0") {
		t.Errorf("a target for topk: %v", err)
	}
}
