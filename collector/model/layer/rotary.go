package layer

import (
	"math"
	"sync"

	"actfleet/internal/torch"
)

// firstRows is how many positions are tabulated at first; a longer prompt makes the table grow.
const firstRows = 512

// Rotary turns the first channels of each head, in the half-split form (channel i with channel i +
// Dims/2), by position · frequency (Su et al. 2021). It may be used by several goroutines at a time.
type Rotary struct {
	freqs []float32
	gain  float64

	mu     sync.Mutex
	tables rotaryTables
}

// rotaryTables are [rows, Dims/2], fp32.
type rotaryTables struct {
	rows     int
	cos, sin *torch.Tensor
}

// NewRotary turns one pair of channels for each frequency; cos and sin are multiplied by gain (1, except
// for yarn).
func NewRotary(freqs []float32, gain float64) *Rotary {
	return &Rotary{freqs: freqs, gain: gain}
}

// Dims is the number of channels turned; even.
func (r *Rotary) Dims() int { return 2 * len(r.freqs) }

// upTo returns tables of at least the given number of rows. Outgrown tables stay: another goroutine may
// be reading them, and together they are smaller than the last.
func (r *Rotary) upTo(s *torch.Scope, rows int) rotaryTables {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables.rows < rows {
		r.tables = r.tabulate(s, max(rows, 2*r.tables.rows, firstRows))
	}
	return r.tables
}

func (r *Rotary) tabulate(s *torch.Scope, rows int) rotaryTables {
	half := len(r.freqs)
	cos, sin := make([]float32, rows*half), make([]float32, rows*half)
	for i, freq := range r.freqs {
		for p := range rows {
			// Hugging Face computes the angle in fp32; so do we, for equal bits.
			angle := float64(float32(p) * freq)
			cos[p*half+i] = float32(math.Cos(angle)) * float32(r.gain)
			sin[p*half+i] = float32(math.Sin(angle)) * float32(r.gain)
		}
	}
	table := func(v []float32) *torch.Tensor {
		return s.Keep(torch.FromFloat32(s, v, int64(rows), int64(half)))
	}
	return rotaryTables{rows: rows, cos: table(cos), sin: table(sin)}
}

// Forward turns x [B, T, H, C]; position t of every prompt is t.
func (r *Rotary) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	steps, width, half := shape[1], shape[3], int64(len(r.freqs))
	tables := r.upTo(s, int(steps))
	cos := s.View(s.Narrow(tables.cos, 0, 0, steps), 1, steps, 1, half)
	sin := s.View(s.Narrow(tables.sin, 0, 0, steps), 1, steps, 1, half)
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
