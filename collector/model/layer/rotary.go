package layer

import (
	"math"

	"actfleet/internal/torch"
)

// Rotary turns the first Dims channels of each head by an angle that grows with the position, in the
// half-split form (channel i with channel i + Dims/2), angle = position · base^(−2i/Dims) (Su et al. 2021).
type Rotary struct {
	Dims     int           // channels turned; even, at most the head width
	Cos, Sin *torch.Tensor // [positions, Dims/2], fp32
}

// NewRotary tabulates the angles of the given number of positions.
func NewRotary(s *torch.Scope, dims, positions int, base float64) Rotary {
	half := dims / 2
	cos, sin := make([]float32, positions*half), make([]float32, positions*half)
	for i := range half {
		// Hugging Face computes frequency and angle in fp32; so do we, for equal bits.
		freq := float32(1 / math.Pow(base, float64(2*i)/float64(dims)))
		for p := range positions {
			angle := float64(float32(p) * freq)
			cos[p*half+i], sin[p*half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	table := func(v []float32) *torch.Tensor {
		return s.Keep(torch.FromFloat32(s, v, int64(positions), int64(half)))
	}
	return Rotary{Dims: dims, Cos: table(cos), Sin: table(sin)}
}

// Forward turns x [B, T, H, C]; position t of every prompt is t.
func (r Rotary) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	steps, width, half := shape[1], shape[3], int64(r.Dims/2)
	cos := s.View(s.Narrow(r.Cos, 0, 0, steps), 1, steps, 1, half)
	sin := s.View(s.Narrow(r.Sin, 0, 0, steps), 1, steps, 1, half)
	a, b := s.Narrow(x, 3, 0, half), s.Narrow(x, 3, half, half)
	parts := []*torch.Tensor{
		s.Minus(s.Mul(a, cos), s.Mul(b, sin)),
		s.Add(s.Mul(b, cos), s.Mul(a, sin)),
	}
	if rest := width - 2*half; rest > 0 {
		parts = append(parts, s.Narrow(x, 3, 2*half, rest))
	}
	return s.Cat(parts, 3)
}
