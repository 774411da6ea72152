package layer

import (
	"math"

	"actfleet/internal/torch"
)

var minusInf = float32(math.Inf(-1))

// Masks are the causal masks of one pass: blocks of one window share theirs.
type Masks struct {
	s    *torch.Scope // of the pass
	made map[mask]*torch.Tensor
}

// mask describes one on a device: rows for positions before..before+steps−1, columns for 0..before+steps−1.
type mask struct {
	device                torch.Device
	steps, before, window int
}

// NewMasks makes masks that live as long as the scope of a pass.
func NewMasks(s *torch.Scope) *Masks { return &Masks{s: s, made: map[mask]*torch.Tensor{}} }

// get is the mask [T, P+T] on a device; a window that no row outgrows is none.
func (m *Masks) get(d torch.Device, steps, before, window int) *torch.Tensor {
	if window >= before+steps {
		window = 0
	}
	key := mask{d, steps, before, window}
	if m.made[key] == nil {
		m.made[key] = m.s.ToDevice(torch.FromFloat32(m.s, key.values(), int64(steps), int64(before+steps)), d)
	}
	return m.made[key]
}

// values are 0 where row i may see column j, i−window < j ≤ i counted from the prefix's start, and −∞ elsewhere.
func (k mask) values() []float32 {
	width := k.before + k.steps
	out := make([]float32, k.steps*width)
	for i := range k.steps {
		row, at := out[i*width:(i+1)*width], k.before+i
		for j := at + 1; j < width; j++ {
			row[j] = minusInf
		}
		for j := 0; k.window > 0 && j <= at-k.window; j++ {
			row[j] = minusInf
		}
	}
	return out
}
