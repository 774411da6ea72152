package layer

import (
	"math"
	"slices"
	"sync"

	"actfleet/internal/torch"
)

// firstRows is how many positions are tabulated at first; a longer prompt makes the table grow.
const firstRows = 512

// Rotary turns the first channels of each head in pairs by position · frequency (Su et al. 2021): channel i with
// channel i + Dims/2 (the half-split form) or, with AdjacentPairs, channel 2i with channel 2i + 1. It may be used by
// several goroutines at a time.
type Rotary struct {
	freqs    []float32
	gain     float64
	adjacent bool
	limit    int // positions of a prompt beyond which longer gives the frequencies; 0: none
	longer   func(positions int) []float32

	mu     sync.Mutex
	tables map[torch.Device]rotaryTables
}

// rotaryTables are [rows, Dims/2], fp32.
type rotaryTables struct {
	rows     int
	cos, sin *torch.Tensor
}

// NewRotary turns one pair of channels for each frequency; cos and sin are multiplied by gain (1, except
// for yarn and longrope).
func NewRotary(freqs []float32, gain float64) *Rotary {
	return &Rotary{freqs: freqs, gain: gain, tables: map[torch.Device]rotaryTables{}}
}

// AdjacentPairs makes r turn neighbouring channels, as GPT-J does.
func (r *Rotary) AdjacentPairs() *Rotary {
	r.adjacent = true
	return r
}

// Beyond makes a prompt of more than limit positions turn by the frequencies that longer gives for its length, all of
// its positions alike (longrope, dynamic NTK). Prompts of one batch may differ in this.
func (r *Rotary) Beyond(limit int, longer func(positions int) []float32) *Rotary {
	r.limit, r.longer = limit, longer
	return r
}

// Limit is the number of positions beyond which a prompt's frequencies are others, so that what was computed of its
// beginning alone does not hold for it; 0: none.
func (r *Rotary) Limit() int { return r.limit }

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

// Forward turns x [B, H, T, C], the steps of the prompts of c, into a contiguous tensor.
func (r *Rotary) Forward(s *torch.Scope, x *torch.Tensor, c Context) *torch.Tensor {
	cos, sin := r.angles(s, x, c)
	if c.Starts != nil {
		return s.Turn(x, cos, sin, r.adjacent)
	}
	out := s.Clone(x)
	rotate := func(to, from int, sign float64) {
		part := r.half(s, out, to)
		s.MulTo(part, cos)
		s.AddcmulTo(part, r.half(s, x, from), sin, sign)
	}
	rotate(0, 1, -1)
	rotate(1, 0, 1)
	return out
}

// half is the view [B, H, T, Dims/2] of the first or second channel of each pair.
func (r *Rotary) half(s *torch.Scope, x *torch.Tensor, which int) *torch.Tensor {
	half := int64(len(r.freqs))
	if !r.adjacent {
		return s.Narrow(x, 3, int64(which)*half, half)
	}
	d := x.Shape()
	pairs := s.View(s.Narrow(x, 3, 0, 2*half), d[0], d[1], d[2], half, 2)
	return s.Squeeze(s.Narrow(pairs, 4, int64(which), 1), 4)
}

// angles are the cosines and sines for the steps of x: [T, Dims/2] for all prompts or, where prompts do not begin alike or
// one is beyond the limit, [B, 1, T, Dims/2]; [N, Dims/2] for prompts that lie one after the other.
func (r *Rotary) angles(s *torch.Scope, x *torch.Tensor, c Context) (cos, sin *torch.Tensor) {
	prompts, steps := x.Shape()[0], x.Shape()[2]
	if c.Starts != nil {
		prompts = int64(len(c.Starts) - 1)
	}
	freqs := r.perPrompt(int(prompts), int(steps), c)
	if freqs == nil {
		tables := r.upTo(s, x.Device(), c.upTo(int(steps)))
		return c.perHead(s, c.Rows(s, tables.cos, int(steps))), c.perHead(s, c.Rows(s, tables.sin, int(steps)))
	}
	turns := s.ToDevice(torch.FromFloat32(s, freqs, prompts, 1, 1, int64(len(r.freqs))), x.Device())
	if c.Starts != nil {
		turns = s.IndexSelect(s.View(turns, prompts, -1), 0, c.Masks.prompts(c.Starts))
	}
	positions := s.View(s.Arange(0, int64(c.upTo(int(steps))), torch.F32, x.Device()), -1, 1)
	angle := s.Mul(turns, c.perHead(s, c.Rows(s, positions, int(steps))))
	return s.MulScalar(s.Cos(angle), r.gain), s.MulScalar(s.Sin(angle), r.gain)
}

// Alike says whether prompts of n and of m positions turn by the same frequencies.
func (r *Rotary) Alike(n, m int) bool {
	beyond := func(n int) bool { return r.limit > 0 && n > r.limit }
	if !beyond(n) && !beyond(m) {
		return true
	}
	return beyond(n) && beyond(m) && slices.Equal(r.longer(n), r.longer(m))
}

// perPrompt is each prompt's frequencies [B, Dims/2]; nil where all have the usual ones.
func (r *Rotary) perPrompt(batch, steps int, c Context) (freqs []float32) {
	beyond := func(row int) bool { return r.limit > 0 && c.positions(row, steps) > r.limit }
	any := false
	for row := range batch {
		any = any || beyond(row)
	}
	if !any {
		return nil
	}
	for row := range batch {
		if beyond(row) {
			freqs = append(freqs, r.longer(c.positions(row, steps))...)
		} else {
			freqs = append(freqs, r.freqs...)
		}
	}
	return freqs
}
