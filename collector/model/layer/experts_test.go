package layer

import (
	"math"
	"slices"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
)

// Each expert sees the rows of the tokens that chose it, once; an expert that none chose is not computed.
func TestMixture(t *testing.T) {
	do(t, func(s *torch.Scope) {
		x := torch.FromFloat32(s, []float32{1, 2, 3}, 3, 1)
		ids := torch.FromInt64(s, []int64{3, 0, 0, 1, 3, 1}, 3, 2)
		weights := torch.FromFloat32(s, []float32{0.5, 1, 2, 1, 1, 3}, 3, 2)
		seen := map[int][]float32{}
		out := Mixture(s, x, ids, weights, func(s *torch.Scope, number int, rows *torch.Tensor) *torch.Tensor {
			seen[number] = slices.Clone(rows.Float32s())
			return s.MulScalar(rows, float64(number+1))
		})
		near(t, "out", out.Float32s(), 1*0.5*4+1*1, 2*2*1+2*1*2, 3*1*4+3*3*2)
		for number, want := range map[int][]float64{0: {1, 2}, 1: {2, 3}, 3: {1, 3}} {
			near(t, "rows", seen[number], want...)
		}
		if len(seen) != 3 {
			t.Errorf("experts %v were computed", seen)
		}
	})
}

// The greatest weight comes first, and of equal ones the lower number, in whatever order they were chosen.
func TestRanked(t *testing.T) {
	do(t, func(s *torch.Scope) {
		ids := torch.FromInt64(s, []int64{9, 4, 7, 2, 700, 1}, 2, 3)
		weights := torch.FromFloat32(s, []float32{0.25, 0.25, 0.5, 1, 2, 3}, 2, 3)
		near(t, "ranked", Ranked(s, ids, weights).Float32s(), 7, 4, 9, 1, 700, 2)
	})
}

func TestRouting(t *testing.T) {
	e := math.Exp
	sum := e(1) + e(2) + e(3) + e(0)
	sigma := func(x float64) float64 { return 1 / (1 + e(-x)) }
	do(t, func(s *torch.Scope) {
		logits := torch.FromFloat32(s, []float32{1, 2, 3, 0}, 1, 4)
		for name, c := range map[string]struct {
			r       Routing
			ids     []int64
			weights []float64
		}{
			"softmax":         {Routing{Chosen: 2}, []int64{2, 1}, []float64{e(3) / sum, e(2) / sum}},
			"with a sum of 1": {Routing{Chosen: 2, Norm: true}, []int64{2, 1}, []float64{e(3) / (e(3) + e(2)), e(2) / (e(3) + e(2))}},
			"of the chosen":   {Routing{Chosen: 2, After: true}, []int64{2, 1}, []float64{e(3) / (e(3) + e(2)), e(2) / (e(3) + e(2))}},
			"scaled":          {Routing{Chosen: 1, Scale: 3}, []int64{2}, []float64{3 * e(3) / sum}},
			"sigmoid":         {Routing{Chosen: 2, Sigmoid: true}, []int64{2, 1}, []float64{sigma(3), sigma(2)}},
			"corrected": {Routing{Chosen: 2, Sigmoid: true, Correction: torch.FromFloat32(s, []float32{0, -1, 0, 1}, 4)},
				[]int64{3, 2}, []float64{sigma(0), sigma(3)}},
			"the best group by its best":       {Routing{Chosen: 2, Groups: 2, Allowed: 1, Best: 1}, []int64{2, 3}, []float64{e(3) / sum, 1 / sum}},
			"the best group by its best two":   {Routing{Chosen: 2, Sigmoid: true, Groups: 2, Allowed: 1, Best: 2}, []int64{1, 0}, []float64{sigma(2), sigma(1)}},
			"two groups, which is all of them": {Routing{Chosen: 1, Groups: 2, Allowed: 2, Best: 1}, []int64{2}, []float64{e(3) / sum}},
		} {
			ids, weights := c.r.Choose(s, logits)
			if !slices.Equal(ids.Int64s(), c.ids) {
				t.Errorf("%s: %v, want %v", name, ids.Int64s(), c.ids)
			}
			near(t, name, s.Contiguous(weights).Float32s(), c.weights...)
		}
	})
}

// A sink takes its part of the softmax and gives nothing.
func TestSinks(t *testing.T) {
	do(t, func(s *torch.Scope) {
		zeros := s.Zeros(torch.F32, torch.CPU, 1, 2, 2, 1)
		q, v := s.Zeros(torch.F32, torch.CPU, 1, 2, 2, 1), s.Ones(torch.F32, torch.CPU, 1, 2, 2, 3) // values are wider
		rule := Scores{Scale: 1, Sinks: torch.FromFloat32(s, []float32{0, float32(math.Log(6))}, 2, 1, 1)}
		out := Heads{Query: 2, KeyValue: 2, Width: 1}.Causal(s, q, zeros, v, rule, Context{Masks: NewMasks(s)})
		a, b, c, d := 1.0/2, 1.0/7, 2.0/3, 2.0/8
		near(t, "mixed", out.Float32s(), a, a, a, b, b, b, c, c, c, d, d, d)
	})
}

func TestLoadStacked(t *testing.T) {
	half := func(name string, shape []int64, values ...byte) safetensors.Tensor {
		data := make([]byte, 2*len(values))
		for i, v := range values {
			data[2*i+1] = map[byte]byte{0: 0, 1: 0x3c, 2: 0x40, 3: 0x42, 4: 0x44}[v] // halves of small whole numbers
		}
		return safetensors.Tensor{Name: name, Dtype: safetensors.F16, Shape: shape, Data: data}
	}
	src := source(t, half("e", []int64{2, 1, 4}, 1, 2, 3, 4, 4, 3, 2, 1), half("e_bias", []int64{2, 4}, 0, 1, 2, 3, 3, 2, 1, 0))
	do(t, func(s *torch.Scope) {
		for alternate, want := range map[bool][]float64{false: {4, 3, 2, 1}, true: {4, 2, 3, 1}} {
			all, err := LoadStacked(s, src, "e", 2, 1, 4, alternate)
			if err != nil || len(all) != 2 {
				t.Fatal(len(all), err)
			}
			near(t, "weight", all[1].Weight.Float32s(), want...)
			near(t, "bias", all[1].Bias.Float32s(), want[0]-1, want[1]-1, want[2]-1, want[3]-1)
		}
	})
}
