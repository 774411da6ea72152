package layer

import (
	"math"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
)

func TestAdjacentPairs(t *testing.T) {
	do(t, func(s *torch.Scope) {
		x := torch.FromFloat32(s, []float32{9, 9, 9, 9, 9, 1, 2, 3, 4, 9}, 1, 1, 2, 5) // the last channel does not turn
		out := NewRotary([]float32{0.5, 0.25}, 1).AdjacentPairs().Forward(s, x, Context{}).Float32s()
		c, d, sin, tan := math.Cos(0.5), math.Cos(0.25), math.Sin(0.5), math.Sin(0.25)
		near(t, "position 0", out[:5], 9, 9, 9, 9, 9)
		near(t, "position 1", out[5:], c-2*sin, 2*c+sin, 3*d-4*tan, 4*d+3*tan, 9)
	})
}

// Of one batch, the prompt beyond the limit turns by its own frequencies, at all of its positions, and the other does not.
func TestRotaryBeyond(t *testing.T) {
	r := NewRotary([]float32{0.5}, 2).Beyond(3, func(n int) []float32 { return []float32{float32(n)} })
	do(t, func(s *torch.Scope) {
		x := torch.FromFloat32(s, []float32{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0}, 2, 1, 4, 2)
		out := r.Forward(s, x, Context{Lengths: []int{3, 4}}).Float32s()
		for p := range 3 {
			near(t, "within", out[2*p:][:2], 2*math.Cos(0.5*float64(p)), 2*math.Sin(0.5*float64(p)))
		}
		for p := range 4 {
			near(t, "beyond", out[8+2*p:][:2], 2*math.Cos(4*float64(p)), 2*math.Sin(4*float64(p)))
		}
		if all := r.Forward(s, x, Context{}).Float32s(); all[3] != out[11] {
			t.Errorf("without lengths %v, with %v: no prompt is padded then", all, out)
		}
	})
}

func TestLongFrequencies(t *testing.T) {
	near(t, "factors", LongFrequencies(4, 100, []float64{2, 4}), 0.5, 0.025)
	near(t, "gain", []float32{float32(LongGain(4, 16)), float32(LongGain(0.5, 16))}, math.Sqrt(1.5), 1)
	near(t, "dynamic base", []float32{float32(DynamicBase(4, 100, 2, 8, 16)), float32(DynamicBase(4, 100, 2, 8, 8))}, 900, 100)
}

func TestAlibi(t *testing.T) {
	near(t, "slopes of 4", NewAlibi(4).slopes, 0.25, 0.0625, 1.0/64, 1.0/256)
	near(t, "slopes of 6", NewAlibi(6).slopes, 0.25, 0.0625, 1.0/64, 1.0/256, 0.5, 0.125)
	a := NewAlibi(1)
	if a.slopes[0] = 1 + 1.0/64 + 1.0/1024; a.values(4)[3] != 3*a.slopes[0] {
		t.Errorf("values %v", a.values(4))
	}
	// rounded to 8 bits: 1 + 2⁻⁶; three times that is 3 + 3·2⁻⁶, of which the last place is 2⁻⁶
	near(t, "rounded", a.Rounded(0.5).values(4), 0, 0.5*(1+1.0/64), 1+1.0/64, 0.5*(3+3.0/64))
	for v, want := range map[float32]float32{1 + 1.0/256: 1, 1 + 3.0/256: 1 + 1.0/64, 1 + 1.0/256 + 1.0/1024: 1 + 1.0/128, -3: -3} {
		if got := bfloat16(v); got != want {
			t.Errorf("bfloat16(%g) = %g, want %g", v, got, want)
		}
	}
}

// A slope of 1 makes the last key that a query sees e times as likely as the one before it.
func TestAlibiInAttention(t *testing.T) {
	do(t, func(s *torch.Scope) {
		zeros := s.Zeros(torch.F32, torch.CPU, 1, 1, 3, 1)
		v := torch.FromFloat32(s, []float32{0, 1, 0}, 1, 1, 3, 1)
		rule := Scores{Scale: 1, Alibi: &Alibi{slopes: []float32{1}, factor: 1}}
		out := Heads{Query: 1, KeyValue: 1, Width: 1}.Causal(s, zeros, zeros, v, rule, Context{Masks: NewMasks(s)})
		near(t, "mixed", out.Float32s(), 0, math.E/(1+math.E), math.E/(1+math.E+math.E*math.E))
	})
}

func TestHeadNorms(t *testing.T) {
	half := func(name string, bytes ...byte) safetensors.Tensor {
		return safetensors.Tensor{Name: name, Dtype: safetensors.F16, Shape: []int64{2}, Data: bytes}
	}
	src := source(t, half("n.0.weight", 0, 0x3c, 0, 0x40), half("n.1.weight", 0, 0x42, 0, 0x44)) // 1 2, 3 4
	do(t, func(s *torch.Scope) {
		n, err := LoadHeadNorms(s, src, "n.%d", 2, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		x := torch.FromFloat32(s, []float32{1, 3, 5, 1}, 1, 2, 1, 2)
		near(t, "norm", n.Forward(s, x).Float32s(), -1, 2, 3, -4)
	})
}
