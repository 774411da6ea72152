package vq

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"actfleet/internal/torch"
)

// Computed by hand: symlog(5) = ln 6 lies between bins 138 and 139.
func TestTwoHotByHand(t *testing.T) {
	if v := symlog(5); !near(v, 1.7917595, 1e-7) || symlog(-5) != -v || symlog(0) != 0 {
		t.Errorf("symlog(5) = %v", v)
	}
	if lo, w := twoHot(symlog(5)); lo != 138 || !near(w, .62232737, 1e-7) {
		t.Errorf("bin %d with %v, want 138 with .62232737", lo, w)
	}
	for _, c := range []struct {
		y      float64
		lo     int
		weight float64
	}{{-20, 0, 1}, {-99, 0, 1}, {20, 253, 0}, {math.Inf(1), 253, 0}, {0, 127, 1}} {
		if lo, w := twoHot(c.y); lo != c.lo || w != c.weight {
			t.Errorf("%v: bin %d with %v, want %d with %v", c.y, lo, w, c.lo, c.weight)
		}
	}
}

// The weights are at least 0, sum to 1 and give the value back, clamped to the bins.
func TestTwoHotCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.Float64Range(-30, 30).Draw(t, "y")
		lo, w := twoHot(y)
		if lo < 0 || lo+1 >= binCount || w < 0 || w > 1 {
			t.Fatalf("bin %d with %v", lo, w)
		}
		if got := w*bin(lo) + (1-w)*bin(lo+1); !near(got, min(max(y, -binLimit), binLimit), 1e-12) {
			t.Fatalf("%v comes back as %v", y, got)
		}
	})
}

// What a decoder that gives exactly the target is taken for is the row.
func TestTargetValues(t *testing.T) {
	z := []float32{0, -1.5, 40, 1e-3}
	for l, perfect := range map[Loss]func(v float64) []float32{
		MSE:    func(v float64) []float32 { return []float32{float32(v)} },
		Symlog: func(v float64) []float32 { return []float32{float32(symlog(v))} },
		TwoHot: func(v float64) []float32 {
			out := make([]float32, binCount)
			for i := range out {
				out[i] = -1e9
			}
			lo, w := twoHot(symlog(v))
			out[lo], out[lo+1] = float32(max(math.Log(w), -1e9)), float32(max(math.Log(1-w), -1e9))
			return out
		},
	} {
		var out []float32
		for _, v := range z {
			out = append(out, perfect(float64(v))...)
		}
		err := torch.Do(func(s *torch.Scope) error {
			got := targets[l].value(s, torch.FromFloat32(s, out, 2, int64(len(out)/2))).Float32s()
			for i, v := range z {
				if !near(float64(got[i]), float64(v), 1e-4*(1+math.Abs(float64(v)))) {
					t.Errorf("%s: %v is taken for %v", l, v, got[i])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// With every loss the networks learn the clusters, also where single values are a
// thousand times the rest.
func TestLossesLearn(t *testing.T) {
	for _, loss := range []Loss{Symlog, TwoHot} {
		cfg := small(FSQ)
		cfg.Loss = loss
		l := train(t, cfg, 12, 300)
		x, _ := clusters(rand.New(rand.NewPCG(5, 5)), 12, 8, 600)
		e := Eval{Coder: l.Export()}
		if err := e.Add(x, 600); err != nil {
			t.Fatal(err)
		}
		if m := e.Metrics(); m["fvu"] > 0.1 {
			t.Errorf("%s: fvu %v", loss, m["fvu"])
		}
	}
}
