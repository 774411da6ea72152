package optim

import (
	"math"
	"testing"
)

// slowAdam is the paper's algorithm 1 in float64.
func slowAdam(theta float64, grads []float64, lr float64) float64 {
	var m, v float64
	for i, g := range grads {
		t := float64(i + 1)
		m = 0.9*m + 0.1*g
		v = 0.999*v + 0.001*g*g
		theta -= lr * (m / (1 - math.Pow(0.9, t))) / (math.Sqrt(v/(1-math.Pow(0.999, t))) + 1e-8)
	}
	return theta
}

func TestAdamAgainstPaper(t *testing.T) {
	value, grad := []float32{1, -2, 0.5}, make([]float32, 3)
	a := NewAdam([]Param{{Name: "w", Shape: []int{3}, Value: value, Grad: grad}})
	grads := [][]float64{{1, 0.1, -3}, {-2, 0.1, 0}, {0.5, 0.1, 1e-4}, {0, 0.1, 7}}
	start := []float64{1, -2, 0.5}
	for _, g := range grads {
		for j := range grad {
			grad[j] = float32(2 * g[j])
		}
		a.Step(0.01, 0.5)
	}
	for j := range value {
		var column []float64
		for _, g := range grads {
			column = append(column, g[j])
		}
		if want := slowAdam(start[j], column, 0.01); math.Abs(float64(value[j])-want) > 1e-6 {
			t.Errorf("value %d = %v, want %v", j, value[j], want)
		}
	}
}

func TestNormAndClip(t *testing.T) {
	p := []Param{{Name: "a", Grad: []float32{3}}, {Name: "b", Grad: []float32{4, 0}}}
	if n := Norm(p); n != 5 {
		t.Errorf("norm %v", n)
	}
	if Clip(5, 1) != 0.2 || Clip(0.5, 1) != 1 || Clip(5, 0) != 1 {
		t.Error("clip")
	}
	if NonFinite(p) != "" {
		t.Error("finite gradients are refused")
	}
	p[1].Grad[1] = float32(math.NaN())
	if NonFinite(p) != "b" {
		t.Error("NaN in b is missed")
	}
}

func TestSchedule(t *testing.T) {
	want := []float64{0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25}
	want[6] = 1 // four left of a decay of four
	for step, w := range want {
		if got := Schedule(step, 10, 2, 4, false); math.Abs(got-w) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, got, w)
		}
	}
	for step, w := range map[int]float64{6: 1, 7: (2 + math.Sqrt2) / 4, 8: 0.5, 9: (2 - math.Sqrt2) / 4} {
		if got := Schedule(step, 10, 2, 4, true); math.Abs(got-w) > 1e-12 {
			t.Errorf("half a cosine at step %d: %v, want %v", step, got, w)
		}
	}
	if Schedule(1000, 0, 0, 5, false) != 1 {
		t.Error("endless training decays")
	}
}
