package gossip

import (
	"context"
	"net"
	"sync"
	"time"

	"actfleet/coordinator"
)

// An observer asks each member itself whether it is there: the fleet's own detector takes up to half a minute, on
// purpose, in which a dead node would be shown at work.
const (
	pingEvery = time.Second
	pingWait  = time.Second
	pingTries = 2 // a packet may be lost
	// maxPings bounds the pings under way.
	maxPings = 128
)

// ping asks the members again and again, until ctx ends.
func (o *Observer) ping(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pingEvery):
			o.pingAll(ctx)
		}
	}
}

// pingAll asks all members once and returns when they have answered, or had the time to.
func (o *Observer) pingAll(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, maxPings)
	for _, m := range o.members() {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		all.Go(func() {
			began := time.Now()
			o.note(m.Node, o.answers(m), began)
			<-slots
		})
	}
}

// answers reports whether a member answers.
func (o *Observer) answers(m coordinator.Member) bool {
	addr, err := net.ResolveUDPAddr("udp", m.Addr)
	if err != nil {
		return false
	}
	for range pingTries {
		if _, err := o.list.Ping(string(m.Node), addr); err == nil {
			return true
		}
	}
	return false
}

// note remembers whether a member answered what it was asked at a time.
func (o *Observer) note(node coordinator.NodeID, answered bool, asked time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if answered {
		delete(o.silent, node)
	} else if _, already := o.silent[node]; !already && len(o.silent) < coordinator.MaxNodes {
		o.silent[node] = asked
	}
}
