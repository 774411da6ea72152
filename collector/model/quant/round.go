package quant

import (
	"math"

	"actfleet/internal/safetensors"
)

// rounder rounds a float to the nearest of a type, ties to even.
func rounder(d safetensors.Dtype) func(float32) float32 {
	switch d {
	case safetensors.F16:
		return toF16
	case safetensors.BF16:
		return toBF16
	}
	return func(v float32) float32 { return v }
}

func toBF16(v float32) float32 {
	bits := math.Float32bits(v)
	if bits&0x7f800000 == 0x7f800000 { // no number
		return v
	}
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

func toF16(v float32) float32 {
	size := math.Abs(float64(v))
	switch {
	case size == 0 || math.IsInf(size, 0) || math.IsNaN(size):
		return v
	case size >= 65520:
		return float32(math.Copysign(math.Inf(1), float64(v)))
	}
	step := math.Ldexp(1, max(math.Ilogb(size), -14)-10)
	return float32(math.Copysign(math.RoundToEven(size/step)*step, float64(v)))
}

// e4m3 are the values of an eight-bit float with four bits of exponent.
var e4m3 = func() (t [256]float32) {
	for b := range t {
		exp, frac := b>>3&15, float64(b&7)
		v := math.Ldexp(1+frac/8, exp-7)
		switch {
		case exp == 0:
			v = math.Ldexp(frac, -9)
		case b&127 == 127:
			v = math.NaN()
		}
		if b >= 128 {
			v = -v
		}
		t[b] = float32(v)
	}
	return t
}()
