package measure

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Computed by hand: C(2048, 2) = 2,096,128 < 2²¹, C(8, 2) = 28 < 2⁵, C(4, 4) = 1.
func TestCodeBits(t *testing.T) {
	for _, c := range []struct{ m, l, coef, want int }{{2048, 2, 8, 37}, {1024, 1, 8, 18}, {8, 2, 16, 37}, {4, 4, 7, 28}, {5, 0, 8, 0}} {
		if got := CodeBits(c.m, c.l, c.coef); got != float64(c.want) {
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
