package node

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drain is how a node that is told to stop goes: it begins no other unit, finishes what is in hand if measured times
// say that the grace suffices, and otherwise drops it. The unit being committed, which is behind the one being
// computed, always has the whole grace.
type drain struct {
	stopRequested context.Context // ends with the first signal
	unitCtx       context.Context // ends when the unit being computed is dropped
	graceCtx      context.Context // ends with the grace
	drop          context.CancelFunc
	endGrace      context.CancelFunc
	release       func() bool
}

// readyToDrain makes ready for the end of ctx.
func (n *node) readyToDrain(ctx context.Context) *drain {
	d := &drain{stopRequested: ctx}
	d.graceCtx, d.endGrace = context.WithCancel(context.WithoutCancel(ctx))
	d.unitCtx, d.drop = context.WithCancel(d.graceCtx)
	d.release = context.AfterFunc(ctx, func() { n.drain(d) })
	return d
}

// drain decides, and ends what does not end by itself.
func (n *node) drain(d *drain) {
	grace := n.cfg.Grace
	n.fleet.Coordinator.Pause() // so that the others need not wait for it
	if unit, left, known := n.inHand(); unit >= 0 && known && left > grace {
		left = left.Round(100 * time.Millisecond)
		n.observer.Tell("fleet: dropping unit %d, which would take %s more; --grace is %s", unit, left, grace)
		d.drop()
	} else if unit >= 0 {
		n.observer.Tell("fleet: finishing unit %d within %s", unit, grace)
	}
	select {
	case <-d.graceCtx.Done():
	case <-time.After(grace):
		d.endGrace()
	}
}

// inHand is the unit this node took last, -1 for none, and how long it still takes.
func (n *node) inHand() (unit int, left time.Duration, known bool) {
	unit = -1
	for _, m := range n.fleet.Progress().Nodes {
		if m.Self && len(m.Claims) > 0 {
			unit = m.Claims[len(m.Claims)-1].Unit
		}
	}
	left, known = n.fleet.Coordinator.Remaining(unit)
	return unit, left, known
}

// close ends the drain, or the being ready for it.
func (d *drain) close() {
	d.release()
	d.endGrace()
}

// CatchSignals keeps SIGUSR1 and SIGUSR2 from ending the process, and for Config.Signals, until the returned function
// is called. Pausing is asked for with SIGUSR1 and ended with SIGUSR2. Not with SIGTSTP, which a shell's Ctrl-Z means
// to stop the whole process, gossip and all; and SIGUSR1 is what batch systems send ahead of the end, when starting
// nothing new is right.
func CatchSignals() (signals <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// obeySignals pauses and resumes the node as signals say, until the returned function is called.
func (n *node) obeySignals() (stopSignals func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case s := <-n.cfg.Signals:
				n.pause(s == syscall.SIGUSR1)
			}
		}
	}()
	return func() { close(end); <-ended }
}

func (n *node) pause(paused bool) {
	if paused {
		n.fleet.Coordinator.Pause()
		n.observer.Tell("fleet: paused; what is in hand is finished, nothing new is started until SIGUSR2")
		return
	}
	n.fleet.Coordinator.Resume()
	n.observer.Tell("fleet: resumed")
}
