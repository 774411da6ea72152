package main

import (
	"context"
	"time"

	"actfleet/collector"
	"actfleet/collector/model"
	"actfleet/coordinator"
)

// departure is how an interrupted node goes: it starts no other unit, finishes what is in hand if measured times
// say that the grace suffices, and otherwise drops it. The unit being committed, which is behind the one being computed,
// always has the whole grace.
type departure struct {
	asked   context.Context // ends with the first signal
	compute context.Context // ends when the unit being computed is dropped
	hard    context.Context // ends with the grace
	drop    context.CancelFunc
	end     context.CancelFunc
	release func() bool
}

// departing makes ready for the end of ctx.
func (n *thisNode) departing(ctx context.Context, grace time.Duration) *departure {
	d := &departure{asked: ctx}
	d.hard, d.end = context.WithCancel(context.WithoutCancel(ctx))
	d.compute, d.drop = context.WithCancel(d.hard)
	d.release = context.AfterFunc(ctx, func() { n.depart(d, grace) })
	return d
}

// depart decides, and ends what does not end by itself.
func (n *thisNode) depart(d *departure, grace time.Duration) {
	if n.monitor != nil {
		n.monitor.Leave()
	}
	n.coordinator.Pause() // so that the others need not wait for it
	if unit, left, known := n.inHand(); unit >= 0 && known && left > grace {
		n.tell("fleet: dropping unit %d, which would take %s more; --grace is %s", unit, timeText(left), grace)
		d.drop()
	} else if unit >= 0 {
		n.tell("fleet: finishing unit %d within %s", unit, grace)
	}
	select {
	case <-d.hard.Done():
	case <-time.After(grace):
		d.end()
	}
}

// inHand is the unit this node took last, -1 for none, and how long it still takes.
func (n *thisNode) inHand() (unit int, left time.Duration, known bool) {
	unit = -1
	for _, m := range n.coordinator.Progress().Nodes {
		if m.Self && len(m.Claims) > 0 {
			unit = m.Claims[len(m.Claims)-1].Unit
		}
	}
	left, known = n.coordinator.Remaining(unit)
	return unit, left, known
}

// over ends the departure, or its being ready.
func (d *departure) over() {
	d.release()
	d.end()
}

// fleet gives no unit once the node was asked to stop.
func (d *departure) fleet(c *coordinator.Coordinator) collector.Fleet { return departingFleet{c, d} }

type departingFleet struct {
	*coordinator.Coordinator
	d *departure
}

// Next is the coordinator's, until the node was asked to stop.
func (f departingFleet) Next(ctx context.Context) (int, error) {
	ctx, cancel := eitherDone(ctx, f.d.asked)
	defer cancel()
	return f.Coordinator.Next(ctx)
}

// model stops computing when the unit is dropped.
func (d *departure) model(m collector.Model) collector.Model { return departingModel{m, d} }

type departingModel struct {
	collector.Model
	d *departure
}

// Forward is the model's, until the unit is dropped.
func (m departingModel) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	ctx, cancel := eitherDone(ctx, m.d.compute)
	defer cancel()
	return m.Model.Forward(ctx, r)
}

// eitherDone ends with the first of two contexts.
func eitherDone(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	release := context.AfterFunc(b, cancel)
	return ctx, func() { release(); cancel() }
}
