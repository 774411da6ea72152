package array

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/internal/safetensors"
)

// A view's elements are those that its steps reach, whatever the shape; what would leave its bytes is refused.
func TestViewsStayInsideTheirBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := make([]float32, rapid.IntRange(0, 30).Draw(rt, "values"))
		for i := range values {
			values[i] = float32(i)
		}
		dims := rapid.IntRange(0, 3).Draw(rt, "dims")
		shape, steps := make([]int, dims), make([]int, dims)
		for i := range dims {
			shape[i], steps[i] = rapid.IntRange(0, 6).Draw(rt, "d"), rapid.IntRange(0, 9).Draw(rt, "step")
		}
		a, err := View("a", safetensors.F32, shape, steps, Of("", nil, values).Bytes())
		want, inside := reached(values, shape, steps)
		if inside && len(want) > len(values) { // the same element again and again
			inside = false
		}
		if inside != (err == nil) {
			rt.Fatalf("shape %v with steps of %v in %d values: %v", shape, steps, len(values), err)
		}
		if err != nil {
			return
		}
		if got, err := a.Float32s(); err != nil || !slices.Equal(got, want) {
			rt.Fatalf("shape %v with steps of %v: %v, want %v, %v", shape, steps, got, want, err)
		}
	})
}

// reached are the values at all indices of a shape, by the definition.
func reached(v []float32, shape, steps []int) (out []float32, inside bool) {
	if len(shape) == 0 {
		if len(v) == 0 {
			return nil, false
		}
		return v[:1], true
	}
	out = []float32{}
	for i := range shape[0] {
		if Elements(shape) == 0 {
			return out, true
		}
		if i*steps[0] >= len(v) {
			return nil, false
		}
		more, ok := reached(v[i*steps[0]:], shape[1:], steps[1:])
		if !ok {
			return nil, false
		}
		out = append(out, more...)
	}
	return out, true
}

func TestValuesThatAreNotFiniteAreNamed(t *testing.T) {
	var zero float32
	for _, v := range []float32{zero / zero, 1 / zero, -1 / zero} {
		if _, err := Of("W_enc", []int{2}, []float32{1, v}).Float32s(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), `"W_enc" holds`) {
			t.Error(v, err)
		}
	}
}

func TestWholeNumbers(t *testing.T) {
	for _, a := range []Array{Of("k", nil, []int32{7}), Of("k", []int{1}, []int64{7}), Of("k", nil, []float32{7})} {
		if k, err := a.Int(); err != nil || k != 7 {
			t.Errorf("%v: %d, %v", a, k, err)
		}
	}
	for _, a := range []Array{Of("k", nil, []float32{6.5}), Of("k", []int{2}, []int64{1, 2}), Of("k", []int{0}, []int64{})} {
		if k, err := a.Int(); err == nil {
			t.Errorf("%v is read as %d", a, k)
		}
	}
}
