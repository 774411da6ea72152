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
	tables map[torch.Device]rotaryTables
}

// rotaryTables are [rows, Dims/2], fp32.
type rotaryTables struct {
	rows     int
	cos, sin *torch.Tensor
}

// NewRotary turns one pair of channels for each frequency; cos and sin are multiplied by gain (1, except
// for yarn).
func NewRotary(freqs []float32, gain float64) *Rotary {
	return &Rotary{freqs: freqs, gain: gain, tables: map[torch.Device]rotaryTables{}}
}

// Dims is the number of channels turned; even.
func (r *Rotary) Dims() int { return 2 * len(r.freqs) }

// upTo returns tables of at least the given number of rows on a device. Outgrown tables stay: another goroutine may
// be reading them, and together they are smaller than the last.
func (r *Rotary) upTo(s *torch.Scope, d torch.Device, rows int) rotaryTables {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.tables[d].rows; have < rows {
		r.tables[d] = r.tabulate(s, d, max(rows, 2*have, firstRows))
	}
	return r.tables[d]
}

func (r *Rotary) tabulate(s *torch.Scope, d torch.Device, rows int) rotaryTables {
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
		return s.Keep(s.ToDevice(torch.FromFloat32(s, v, int64(rows), int64(half)), d))
	}
	return rotaryTables{rows: rows, cos: table(cos), sin: table(sin)}
}

// Forward turns x [B, H, T, C], whose step t stands at position before+t, into a contiguous tensor.
func (r *Rotary) Forward(s *torch.Scope, x *torch.Tensor, before int) *torch.Tensor {
	steps, half := x.Shape()[2], int64(len(r.freqs))
	tables := r.upTo(s, x.Device(), before+int(steps))
	cos, sin := s.Narrow(tables.cos, 0, int64(before), steps), s.Narrow(tables.sin, 0, int64(before), steps)
	out := s.Clone(x)
	rotate := func(to, from int64, sign float64) {
		part := s.Narrow(out, 3, to, half)
		s.MulTo(part, cos)
		s.AddcmulTo(part, s.Narrow(x, 3, from, half), sin, sign)
	}
	rotate(0, half, -1)
	rotate(half, 0, 1)
	return out
}
