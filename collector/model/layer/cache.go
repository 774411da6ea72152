package layer

import (
	"math"
	"slices"

	"actfleet/internal/torch"
)

// cacheRoom is how many positions a cache has room for beyond those it is given; a longer prompt makes it grow by half.
const cacheRoom = 64

// Cache is what one block's attention remembers of each prompt of a batch, so that the prompts go on a token at a time. An
// empty one takes what the first pass over the batch computes; each pass after it adds one position to every prompt,
// which Context.At names. One pass at a time may use it.
type Cache struct {
	keys   *torch.Tensor // [B, K, room, C]: of position j at j; behind a prompt's last position is garbage
	values *torch.Tensor // [B, K, room, C of values]
}

// Free ends the tensors of a cache.
func (m *Cache) Free() {
	m.keys.Free()
	m.values.Free()
}

// Keep keeps some prompts of the batch, in the order of their numbers in rows (int64, on any device).
func (m *Cache) Keep(s *torch.Scope, rows *torch.Tensor) {
	if m.keys == nil {
		return
	}
	at := s.ToDevice(rows, m.keys.Device())
	m.become(s, s.IndexSelect(m.keys, 0, at), s.IndexSelect(m.values, 0, at))
}

func (m *Cache) become(s *torch.Scope, keys, values *torch.Tensor) {
	m.Free()
	m.keys, m.values = s.Keep(keys), s.Keep(values)
}

// fill takes the keys and values [B, K, T, C] of a batch's first pass, after those of the past.
func (m *Cache) fill(s *torch.Scope, past *Past, k, v *torch.Tensor) {
	before := int64(past.Steps())
	room := before + k.Shape()[2] + cacheRoom
	keys, values := roomFor(s, k, room), roomFor(s, v, room)
	if before > 0 {
		s.CopyTo(s.Narrow(keys, 2, 0, before), s.Unsqueeze(s.Transpose(past.keys, 1, 2), 0))
		s.CopyTo(s.Narrow(values, 2, 0, before), s.Unsqueeze(past.values, 0))
	}
	s.CopyTo(s.Narrow(keys, 2, before, k.Shape()[2]), k)
	s.CopyTo(s.Narrow(values, 2, before, v.Shape()[2]), v)
	m.become(s, keys, values)
}

// roomFor is [B, K, room, C] of zeros, for x [B, K, T, C].
func roomFor(s *torch.Scope, x *torch.Tensor, room int64) *torch.Tensor {
	d := x.Shape()
	return s.Zeros(torch.F32, x.Device(), d[0], d[1], room, d[3])
}

// add writes one step's keys and values [B, K, 1, C] at the position of each prompt.
func (m *Cache) add(s *torch.Scope, c Context, k, v *torch.Tensor) {
	if room := m.keys.Shape()[2]; int64(c.upTo(1)) > room {
		m.grow(s, room+room/2)
	}
	at := c.Masks.slots(m.keys, c.At)
	for _, p := range [][2]*torch.Tensor{{m.keys, k}, {m.values, v}} {
		width := p[0].Shape()[3]
		s.IndexCopyTo(s.View(p[0], -1, width), 0, at, s.Reshape(p[1], -1, width))
	}
}

func (m *Cache) grow(s *torch.Scope, room int64) {
	keys, values, have := roomFor(s, m.keys, room), roomFor(s, m.values, room), m.keys.Shape()[2]
	s.CopyTo(s.Narrow(keys, 2, 0, have), m.keys)
	s.CopyTo(s.Narrow(values, 2, 0, have), m.values)
	m.become(s, keys, values)
}

// remembered are the keys and values [B, K, T, C] that the steps of a pass attend to, after those of the past: their own,
// and what the cache remembers, to which they are added.
func (c Context) remembered(s *torch.Scope, k, v *torch.Tensor) (keys, values *torch.Tensor) {
	switch {
	case c.Cache == nil:
		return k, v
	case c.At == nil:
		c.Cache.fill(s, c.Past, k, v)
		return k, v
	}
	c.Cache.add(s, c, k, v)
	all := int64(c.upTo(1))
	return s.Narrow(c.Cache.keys, 2, 0, all), s.Narrow(c.Cache.values, 2, 0, all)
}

// upTo is one more than the last position of any prompt of a batch of so many steps.
func (c Context) upTo(steps int) int {
	switch {
	case c.Starts != nil:
		return slices.Max(c.Lengths)
	case c.At != nil:
		return slices.Max(c.At) + steps
	}
	return c.Before + steps
}

// Rows are the rows of a table [N, D], one for each position, that belong to the steps of a batch: [T, D] or, where At
// says where each prompt stands, [B, T, D].
func (c Context) Rows(s *torch.Scope, table *torch.Tensor, steps int) *torch.Tensor {
	switch {
	case c.Starts != nil:
		return s.IndexSelect(table, 0, c.Masks.places(table.Device(), c.stand()))
	case c.At == nil:
		return s.Narrow(table, 0, int64(c.Before), int64(steps))
	}
	rows := s.IndexSelect(table, 0, c.Masks.places(table.Device(), c.At))
	return s.View(rows, int64(len(c.At)), int64(steps), -1)
}

// stand is the position of each step of prompts that lie one after the other.
func (c Context) stand() (at []int) {
	for i := range c.Starts[1:] {
		for t := range int(c.Starts[i+1] - c.Starts[i]) {
			at = append(at, c.Before+t)
		}
	}
	return at
}

// prompts are the numbers [N] of the prompts that the steps belong to which begin at starts.
func (m *Masks) prompts(starts []int32) *torch.Tensor {
	var of []int64
	for i := range starts[1:] {
		of = append(of, slices.Repeat([]int64{int64(i)}, int(starts[i+1]-starts[i]))...)
	}
	return torch.FromInt64(m.s, of, int64(len(of)))
}

// perHead is what Rows gives in the form that the heads' states [B, H, T, C] want.
func (c Context) perHead(s *torch.Scope, rows *torch.Tensor) *torch.Tensor {
	if c.At == nil {
		return rows
	}
	return s.Unsqueeze(rows, 1)
}

// mask is what is added to the scores [B, K, G, T, P+T] of a pass.
func (c Context) mask(d torch.Device, steps, window int) *torch.Tensor {
	if c.At == nil {
		return c.Masks.get(d, steps, c.Before, window)
	}
	return c.Masks.behind(d, c.At, window)
}

// cached are the tensors that blocks of one pass over a cache share.
type cached struct {
	places map[torch.Device]*torch.Tensor // [B], where each prompt stands, or each step
	hidden map[mask]*torch.Tensor         // [B, 1, 1, 1, P+1]
	slots  map[slot]*torch.Tensor         // [B·K]
}

// slot describes the rows of a cache [B, K, room, C], seen as [B·K·room, C], that a pass writes.
type slot struct {
	device      torch.Device
	heads, room int64
}

// places are the positions at on a device.
func (m *Masks) places(d torch.Device, at []int) *torch.Tensor {
	if m.cached.places[d] == nil {
		m.cached.places[d] = m.s.ToDevice(torch.FromInt64(m.s, int64s(at), int64(len(at))), d)
	}
	return m.cached.places[d]
}

// behind hides from each prompt's one step, at the positions at, what lies after it or before its window.
func (m *Masks) behind(d torch.Device, at []int, window int) *torch.Tensor {
	width := int64(slices.Max(at) + 1)
	key := mask{device: d, window: window}
	if m.cached.hidden[key] == nil {
		m.cached.hidden[key] = m.s.Sub(func(s *torch.Scope) *torch.Tensor {
			place, column := s.View(m.places(d, at), -1, 1), s.Arange(0, width, torch.I64, d)
			hidden := s.Gt(column, place)
			if window > 0 {
				hidden = s.Or(hidden, s.Le(s.AddScalar(column, float64(window)), place))
			}
			open := s.Zeros(torch.F32, d, int64(len(at)), width)
			return s.View(s.MaskedFill(open, hidden, math.Inf(-1)), -1, 1, 1, 1, width)
		})
	}
	return m.cached.hidden[key]
}

// slots are the rows of a block's keys [B, K, room, C], seen as [B·K·room, C], at the positions at.
func (m *Masks) slots(keys *torch.Tensor, at []int) *torch.Tensor {
	shape := keys.Shape()
	key := slot{keys.Device(), shape[1], shape[2]}
	if m.cached.slots[key] == nil {
		var rows []int64
		for i := range shape[0] * key.heads {
			rows = append(rows, i*key.room+int64(at[i/key.heads]))
		}
		m.cached.slots[key] = m.s.ToDevice(torch.FromInt64(m.s, rows, int64(len(rows))), key.device)
	}
	return m.cached.slots[key]
}
