package trainer

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/coder"
	"actfleet/trainer/vq"
)

// Computed by hand: C(2048, 2) = 2,096,128 < 2²¹, C(8, 2) = 28 < 2⁵, C(4, 4) = 1.
func TestRateBits(t *testing.T) {
	for _, c := range []struct{ m, l, coef, want int }{{2048, 2, 8, 37}, {1024, 1, 8, 18}, {8, 2, 16, 37}, {4, 4, 7, 28}, {5, 0, 8, 0}} {
		if got := RateBits(c.m, c.l, c.coef); got != float64(c.want) {
			t.Errorf("%+v: %v bits", c, got)
		}
	}
}

func TestRoundCoefficient(t *testing.T) {
	for _, c := range []struct {
		v    float32
		bits int
		want float32
	}{{1, 8, 1}, {1.0625, 8, 1}, {1.07, 8, 1.125}, {1.1875, 8, 1.25}, {1.99, 8, 2}, {1e-6, 8, 0}, {1e9, 8, 65536 - 4096}, {0, 8, 0}, {1.3, 6, 1.5}, {1.1, 28, 1.1}} {
		if got := RoundCoefficient(c.v, c.bits); got != c.want {
			t.Errorf("%v in %d bits is %v, want %v", c.v, c.bits, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(MinCoefBits, MaxCoefBits).Draw(t, "bits")
		v := rapid.Float32Range(1e-4, 6e4).Draw(t, "value")
		once := RoundCoefficient(v, bits)
		if off := math.Abs(float64(once-v)) / float64(v); off > math.Ldexp(1, -(bits-coefExponent)-1) && v < 30000 {
			t.Fatalf("%v becomes %v, off by %v", v, once, off)
		}
		if twice := RoundCoefficient(once, bits); twice != once {
			t.Fatalf("%v becomes %v, then %v", v, once, twice)
		}
	})
}

func TestRank(t *testing.T) {
	at := func(bits, fvu float64) Point { return Point{Bits: bits, Metrics: map[string]float64{"fvu": fvu}} }
	points := []Point{at(36, .1), at(9, .3), at(18, .35), at(9, .4), at(40, .1)}
	rank(points)
	var front []bool
	for _, p := range points {
		front = append(front, p.Front)
	}
	if !slices.Equal(front, []bool{true, false, false, true, false}) || points[0].Bits != 9 || points[4].Bits != 40 {
		t.Errorf("%+v", points)
	}
}

// Tokenizers and autoencoders of one column stand in one table, on the same rows.
func TestCompare(t *testing.T) {
	src := made(t)
	var dirs []string
	for _, kind := range []string{coder.SAE, "batchtopk", coder.VQ, string(vq.Residual)} {
		j := archJob(t, kind, filepath.Join(t.TempDir(), kind), src)
		j.Config.Steps = 20
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, j.Dir)
	}
	points, err := Compare(t.Context(), dirs, job(t, coder.VQ, "", src).Runs, CompareOptions{CoefBits: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if p.Metrics["rows"] != points[0].Metrics["rows"] || !(p.Metrics["fvu"] > 0) || !(p.Metrics["usage"] > 0) {
			t.Errorf("%+v", p)
		}
		switch p.Arch {
		case "topk":
			if p.Bits != RateBits(48, 3, 8) {
				t.Errorf("topk takes %v bits", p.Bits)
			}
		case "residual":
			if math.Abs(p.Bits-4*math.Log2(24)) > 1e-9 || !(p.Carried > 4 && p.Carried < p.Bits) {
				t.Errorf("residual takes %v bits and carries %v", p.Bits, p.Carried)
			}
		}
	}
	exact, err := Compare(t.Context(), dirs[:1], job(t, coder.SAE, "", src).Runs, CompareOptions{CoefBits: MaxCoefBits})
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := Evaluate(t.Context(), dirs[0], job(t, coder.SAE, "", src).Runs, EvalOptions{})
	if err != nil || math.Abs(exact[0].Metrics["fvu"]-e.Metrics["fvu"]) > 1e-5 {
		t.Errorf("unrounded fvu %v, evaluated %v (%v)", exact[0].Metrics["fvu"], e.Metrics["fvu"], err)
	}

	last := archJob(t, coder.VQ, filepath.Join(t.TempDir(), "last"), src)
	last.Config.Steps, last.Config.Tokens, last.Config.Codes = 2, "last", 8
	if _, err := Train(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	_, err = Compare(t.Context(), []string{dirs[2], last.Dir}, last.Runs, CompareOptions{CoefBits: 8})
	if err == nil || !strings.Contains(err.Error(), "tokens: all in the first, last in the second") {
		t.Errorf("other rows: %v", err)
	}
	if _, err := Compare(t.Context(), dirs, last.Runs, CompareOptions{CoefBits: 5}); err == nil {
		t.Error("coefficients without a mantissa are accepted")
	}
}
