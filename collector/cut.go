package collector

import (
	"fmt"

	"actfleet/collector/model"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// How large a unit is. Small enough that a dead node costs a minute at most, that all nodes have something to do and
// end together; large enough that a commit and the words of gossip about it are lost in the computing, and of so many
// prompts that sorting them by length leaves little padding (true/false statements in batches of 512 tokens: 1.40 ×
// their tokens among 32 prompts, 1.13 × among 128, 1.04 × among 512).
const (
	minUnits       = 48 // while each has minUnitPrompts
	minUnitPrompts = 64 // unless fewer are work enough
	maxUnitSize    = 256 << 20
	manyUnits      = 100_000 // from here on units grow: gossip and listings are good for so many
)

// A size is bytes of a shard, and the products that a model computes for them: a byte counts as much as so many. A unit
// of nothing but products is 4.4 × 10^12, a minute and a half for two cores; and 256 times as many on a GPU, ten to
// thirty seconds.
const (
	productsPerByte    = 1 << 14
	productsPerByteGPU = productsPerByte << 8
)

// scale tells the size of a prompt. It is integers throughout: other processors round other floating-point numbers.
type scale struct {
	rowBytes        int64 // of a kept position
	layers, hidden  int64 // that are computed
	productsPerByte int64
	ring            int64 // that a ring holds of the vectors; 0 without one
}

// scaleOf is the scale of what was asked of a model, with rows of so many bytes. Without choices a pass ends with the
// last tapped layer.
func scaleOf(a Ask, info model.Info, rowBytes int64) scale {
	s := scale{rowBytes: rowBytes, layers: int64(info.Layers), hidden: int64(info.Hidden), productsPerByte: productsPerByte}
	if n := len(a.Layers); n > 0 && len(a.Choices) == 0 {
		s.layers = int64(a.Layers[n-1]) + 1
	}
	if a.Device == "cuda" {
		s.productsPerByte = productsPerByteGPU
	}
	return s
}

// size is that of a prompt of n tokens that becomes so many rows.
func (s scale) size(n, rows int32) int64 {
	return int64(rows)*s.rowBytes + s.products(int64(n))/s.productsPerByte
}

// products are the multiply-adds of a prompt of n tokens. A block has 12 d² weights (Kaplan et al. 2020, table 1), and
// attention takes n d products more for each of its tokens.
func (s scale) products(n int64) int64 { return n * (12*s.hidden + n) * s.hidden * s.layers }

// measures are how many tokens each prompt has, and how many rows it becomes.
type measures struct{ tokens, rows []int32 }

// measure tells them of prompts under a token rule.
func measure(in Prompts, rule tap.Rule) (measures, error) {
	m := measures{tokens: in.Lengths(), rows: in.KeptCounts()}
	if rule.FromData() {
		if m.rows == nil {
			return m, fmt.Errorf("the prompts do not say which positions the token rule %s keeps", rule)
		}
		return m, nil
	}
	m.rows = make([]int32, len(m.tokens))
	for i, n := range m.tokens {
		m.rows[i] = int32(len(rule.Positions(int(n))))
	}
	return m, nil
}

// planUnits is the boundaries of the units of a plan.
func planUnits(a Ask, info model.Info, prompts measures, rowBytes, ring int64) ([]int64, error) {
	s := scaleOf(a, info, rowBytes)
	s.ring = ring
	units := cutUnits(prompts, s)
	if units == nil {
		return nil, fmt.Errorf("the token rule %s keeps no position of any prompt", a.Tokens)
	}
	if a.UnitPrompts > 0 {
		return cutEvery(len(prompts.tokens), a.UnitPrompts)
	}
	return units, nil
}

// cutEvery cuts so many prompts into units of size prompts each, the last one of what is left.
func cutEvery(prompts, size int) ([]int64, error) {
	if units := (prompts + size - 1) / size; units > shard.MaxUnits {
		return nil, fmt.Errorf("%d prompts in units of %d are %d units, at most %d are possible", prompts, size, units, shard.MaxUnits)
	}
	var cuts []int64
	for lo := 0; lo < prompts; lo += size {
		cuts = append(cuts, int64(lo))
	}
	return append(cuts, int64(prompts)), nil
}

// cutter cuts prompts, one after another, into units of about equal size.
type cutter struct {
	scale
	most  int64 // size at which a unit ends whatever its prompts
	units int   // still to be made
	// What is left, and of it what the unit at hand has.
	left, unit struct {
		prompts    int
		size, kept int64
	}
}

// cutUnits returns the boundaries of the units; nil when no position of any prompt is kept. There are minUnits or more
// of minUnitPrompts or more prompts each, where there are so many; a unit has fewer if they are of maxUnitSize together,
// and every unit has rows.
func cutUnits(prompts measures, s scale) []int64 {
	c := cutter{scale: s}
	for i, n := range prompts.tokens {
		c.left.prompts++
		c.left.size += s.size(n, prompts.rows[i])
		c.left.kept += int64(prompts.rows[i])
	}
	if c.left.kept == 0 {
		return nil
	}
	c.most = max(maxUnitSize, c.left.size/manyUnits)
	if c.ring > 0 {
		ordinary := c.left.size / int64(c.left.prompts) * minUnitPrompts
		c.most = min(c.most, max(c.ring/ringUnits, ordinary), c.ring/leastRingUnits)
	}
	c.units = min(minUnits, c.left.prompts/minUnitPrompts)
	cuts := []int64{0}
	for i, n := range prompts.tokens {
		if c.cutBefore(n, prompts.rows[i]) {
			cuts = append(cuts, int64(i))
		}
	}
	return append(cuts, int64(len(prompts.tokens)))
}

// cutBefore says whether the unit at hand ends before the next prompt, of n tokens and so many rows, and adds that one.
func (c *cutter) cutBefore(n, rows int32) (cut bool) {
	if cut = c.full(); cut {
		c.left.prompts -= c.unit.prompts
		c.left.size -= c.unit.size
		c.left.kept -= c.unit.kept
		c.unit.prompts, c.unit.size, c.unit.kept = 0, 0, 0
		c.units--
	}
	c.unit.prompts++
	c.unit.size += c.size(n, rows)
	c.unit.kept += int64(rows)
	return cut
}

// full says whether the unit at hand has its share of what is left.
func (c *cutter) full() bool {
	if c.unit.kept == 0 || c.unit.kept == c.left.kept {
		return false
	}
	units := max(c.units, int((c.left.size+c.most-1)/c.most), 1)
	switch rest := c.left.prompts - c.unit.prompts; {
	case c.unit.size >= c.most:
		return true
	case units == 1 || c.unit.prompts < minUnitPrompts:
		return false
	default:
		return c.unit.size >= c.left.size/int64(units) || rest <= minUnitPrompts*(units-1)
	}
}
