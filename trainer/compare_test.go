package trainer

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/vq"
)

// Tokenizers and autoencoders of one column stand in one table, on the same rows.
func TestCompare(t *testing.T) {
	src := made(t)
	var dirs []string
	for _, kind := range []string{coder.SAE, "batchtopk", coder.VQ, string(vq.Residual)} {
		j := archJob(t, kind, filepath.Join(t.TempDir(), kind), src)
		j.Recipe.Loop.Steps = 20
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, j.Dir)
	}
	points, err := measure.Compare(t.Context(), dirs, job(t, coder.VQ, "", src).Runs, measure.CompareOptions{CoefBits: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if p.Metrics["rows"] != points[0].Metrics["rows"] || !(p.Metrics["fvu"] > 0) || !(p.Metrics["usage"] > 0) {
			t.Errorf("%+v", p)
		}
		switch p.Arch {
		case "topk":
			if p.Bits != measure.CodeBits(48, 3, 8) {
				t.Errorf("topk takes %v bits", p.Bits)
			}
		case "residual":
			if math.Abs(p.Bits-4*math.Log2(24)) > 1e-9 || !(p.Carried > 4 && p.Carried < p.Bits) {
				t.Errorf("residual takes %v bits and carries %v", p.Bits, p.Carried)
			}
		}
	}
	exact, err := measure.Compare(t.Context(), dirs[:1], job(t, coder.SAE, "", src).Runs, measure.CompareOptions{CoefBits: measure.MaxCoefBits})
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := measure.Evaluate(t.Context(), dirs[0], job(t, coder.SAE, "", src).Runs, measure.EvalOptions{})
	if err != nil || math.Abs(exact[0].Metrics["fvu"]-e.Metrics["fvu"]) > 1e-5 {
		t.Errorf("unrounded fvu %v, evaluated %v (%v)", exact[0].Metrics["fvu"], e.Metrics["fvu"], err)
	}

	last := archJob(t, coder.VQ, filepath.Join(t.TempDir(), "last"), src)
	last.Recipe.Loop.Steps, last.Recipe.Data.Tokens, last.Recipe.VQ.Codes = 2, "last", 8
	if _, err := Train(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	_, err = measure.Compare(t.Context(), []string{dirs[2], last.Dir}, last.Runs, measure.CompareOptions{CoefBits: 8})
	if err == nil || !strings.Contains(err.Error(), "tokens: all in the first, last in the second") {
		t.Errorf("other rows: %v", err)
	}
	if _, err := measure.Compare(t.Context(), dirs, last.Runs, measure.CompareOptions{CoefBits: 5}); err == nil {
		t.Error("coefficients without a mantissa are accepted")
	}
}
