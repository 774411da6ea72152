package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"actfleet/collector"
	"actfleet/collector/model/modeltest"
	"actfleet/coordinator"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// member is a node of a fleet over loopback. Its model computes nothing until open is closed.
type member struct {
	*recorder
	stop   context.CancelFunc
	joined chan struct{} // closed when it is in the fleet
	ended  chan struct{}
	sum    collector.Summary
	err    error // once ended
}

// launch starts a node that works on a run.
func launch(t *testing.T, st store.Store, open <-chan struct{}, adjust func(*Config)) *member {
	t.Helper()
	m := &member{recorder: new(recorder), joined: make(chan struct{}), ended: make(chan struct{})}
	model := modeltest.NewFake()
	model.Before = func(ctx context.Context) error {
		select {
		case <-open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.on = func(e collector.Event) {
		if e.Event == "start" {
			close(m.joined)
		}
	}
	cfg := config(t, st, model, m.recorder)
	cfg.Fleet.Bind = "127.0.0.1:0"
	adjust(&cfg)
	ctx, stop := context.WithCancel(t.Context())
	m.stop = stop
	go func() {
		defer close(m.ended)
		m.sum, m.err = Run(ctx, cfg, m)
	}()
	t.Cleanup(func() { stop(); <-m.ended })
	return m
}

// wait waits for a member's end.
func (m *member) wait() (collector.Summary, error) {
	<-m.ended
	return m.sum, m.err
}

// until waits for something that gossip brings.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("did not happen: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// sees says whether a member knows a node in a condition.
func (m *member) sees(node coordinator.NodeID, condition string) bool {
	for _, n := range m.fleet.Progress().Nodes {
		if n.Node == node {
			return n.Condition() == condition
		}
	}
	return false
}

// pair is a fleet of two, both of which have begun a unit.
func pair(t *testing.T, st store.Store, open <-chan struct{}, adjust func(*Config)) (a, b *member) {
	t.Helper()
	a = launch(t, st, open, func(c *Config) { adjust(c) })
	<-a.joined
	b = launch(t, st, open, func(c *Config) {
		c.Fleet.Join = []string{a.fleet.Addr()}
		adjust(c)
	})
	<-b.joined
	until(t, "both work and know it", func() bool {
		return a.sees(b.fleet.ID, "working") && b.sees(a.fleet.ID, "working") && a.count("claim") > 0 && b.count("claim") > 0
	})
	return a, b
}

// Every unit is committed by one of the two. How many each wins is a race: units take milliseconds here, claims longer.
func TestTwoNodesShareARun(t *testing.T) {
	st, open := mem.New(time.Now), make(chan struct{})
	a, b := pair(t, st, open, func(*Config) {})
	close(open)
	sumA, errA := a.wait()
	sumB, errB := b.wait()
	if errA != nil || errB != nil || sumA.Won+sumB.Won != units || sumA.Won+sumA.Lost+sumA.Overtaken == 0 || sumB.Won+sumB.Lost+sumB.Overtaken == 0 {
		t.Errorf("a: %+v, %v; b: %+v, %v", sumA, errA, sumB, errB)
	}
	wantWhole(t, st)
}

// A node that is told to stop drops what its grace does not suffice for, says goodbye, and the other does its units.
func TestTheOtherNodeTakesOver(t *testing.T) {
	st, open := mem.New(time.Now), make(chan struct{})
	a, b := pair(t, st, open, func(c *Config) { c.Grace = 0 })
	a.stop()
	if sum, err := a.wait(); !errors.Is(err, context.Canceled) || sum.Won != 0 || a.last().Message != "interrupted" {
		t.Errorf("a: %+v, %v, %+v", sum, err, a.last())
	}
	until(t, "b knows that a left", func() bool { return b.sees(a.fleet.ID, "left") })
	close(open)
	if sum, err := b.wait(); err != nil || sum.Won != units {
		t.Errorf("b: %+v, %v", sum, err)
	}
	wantWhole(t, st)
}

// A node that hangs is overtaken, drops its unit without an error and ends with the run.
func TestAHungNodeIsOvertaken(t *testing.T) {
	st, open := mem.New(time.Now), make(chan struct{})
	close(open)
	a := launch(t, st, nil, func(*Config) {}) // computes nothing, for ever
	<-a.joined
	until(t, "a has begun", func() bool { return a.count("claim") > 0 })
	b := launch(t, st, open, func(c *Config) { c.Fleet.Join = []string{a.fleet.Addr()} })
	if sum, err := b.wait(); err != nil || sum.Won != units {
		t.Errorf("b: %+v, %v", sum, err)
	}
	sum, err := a.wait()
	if err != nil || sum.Won+sum.Lost != 0 || sum.Overtaken != a.count("claim") || a.count("overtaken") != sum.Overtaken || a.count("drop") != 0 || a.last().Event != "leave" {
		t.Errorf("a: %+v, %v, %+v", sum, err, a.last())
	}
	wantWhole(t, st)
}

// A node with another key is refused, in a line that says so, and the fleet works on.
func TestAnotherSecretIsRefused(t *testing.T) {
	st, open := mem.New(time.Now), make(chan struct{})
	secret := func(key string) func(*Config) {
		return func(c *Config) { c.Fleet.Secret = []byte(strings.Repeat(key, 32)) }
	}
	a := launch(t, st, open, secret("k"))
	<-a.joined
	b := launch(t, st, open, func(c *Config) {
		secret("w")(c)
		c.Fleet.Join = []string{a.fleet.Addr()}
	})
	if _, err := b.wait(); err == nil || !strings.Contains(err.Error(), "secret") || len(b.events) > 0 {
		t.Errorf("error %v, events %v", err, b.events)
	}
	close(open)
	if sum, err := a.wait(); err != nil || sum.Won != units {
		t.Errorf("a: %+v, %v", sum, err)
	}
	wantWhole(t, st)
}
