package model

import (
	"context"

	"actfleet/shard/tap"
)

// Copies is one checkpoint loaded several times, each copy on devices of its own; a Forward takes one that
// is free.
type Copies struct {
	models []*Model
	free   chan *Model
}

// passesPerCopy is how many Forwards a copy runs at a time: while one's taps are packed on the host, the
// other's are computed.
const passesPerCopy = 2

// LoadCopies is LoadOn once for each target.
func LoadCopies(dir string, targets []Target, accept ...string) (*Copies, error) {
	c := &Copies{free: make(chan *Model, passesPerCopy*len(targets))}
	for _, to := range targets {
		m, err := LoadOn(dir, to, accept...)
		if err != nil {
			return nil, err
		}
		c.models = append(c.models, m)
	}
	for range passesPerCopy {
		for _, m := range c.models {
			c.free <- m
		}
	}
	return c, nil
}

// Passes is how many Forwards may run at a time; more wait for each other.
func (c *Copies) Passes() int { return cap(c.free) }

// Info says which checkpoint it is.
func (c *Copies) Info() Info { return c.models[0].Info() }

// Width is the number of channels D at a tap; 0 where the model has no such tap.
func (c *Copies) Width(t tap.Tap) int { return c.models[0].Width(t) }

// Same is Model.Same.
func (c *Copies) Same(site tap.Site) tap.Site { return c.models[0].Same(site) }

// Forward is Model.Forward on one of the copies.
func (c *Copies) Forward(ctx context.Context, r Request) ([][]float32, error) {
	if r.Cache != nil { // which belongs to one copy
		return r.Cache.m.Forward(ctx, r)
	}
	m := <-c.free
	defer func() { c.free <- m }()
	return m.Forward(ctx, r)
}

// Generate is Model.Generate on one of the copies.
func (c *Copies) Generate(ctx context.Context, g Generation) ([]Continuation, error) {
	m := <-c.free
	defer func() { c.free <- m }()
	return m.Generate(ctx, g)
}

// NewCache is Model.NewCache of the first copy, which then computes what it is for.
func (c *Copies) NewCache() *Cache { return c.models[0].NewCache() }

// Prefix is Model.Prefix on every copy; what it returns goes with c only.
func (c *Copies) Prefix(ctx context.Context, r Request) (*Prefix, error) {
	return newPrefix(ctx, r, c.models...)
}
