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

// passes is how many Forwards a model runs at a time: while one's rows are packed on the host, each of its devices computes
// another.
func passes(to Target) int { return max(1, len(to.Devices)) + 1 }

// LoadCopies is LoadOn for each target; the checkpoint is opened and hashed once.
func LoadCopies(dir string, targets []Target, accept ...string) (*Copies, error) {
	models, err := loadAll(dir, targets, accept)
	if err != nil {
		return nil, err
	}
	most, all := 0, 0
	for _, to := range targets {
		most, all = max(most, passes(to)), all+passes(to)
	}
	c := &Copies{models: models, free: make(chan *Model, all)}
	for pass := range most { // the first ones on different copies
		for _, m := range models {
			if pass < passes(m.target) {
				c.free <- m
			}
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
