package gossip

import (
	"time"

	"github.com/hashicorp/memberlist"
)

// Preset chooses the timings of a fleet. All nodes of a fleet should use the same.
type Preset int

const (
	// Production finds a dead node in 24 s (three nodes, measured). It is slow on
	// purpose: a host that saturates its cores answers late, and a node falsely called
	// dead costs a unit done twice, while a dead one costs half a minute once.
	Production Preset = iota
	// LocalFast finds a dead node in 1.1-1.4 s (three nodes, measured); for fleets on
	// one machine, where a packet takes microseconds, and for tests.
	LocalFast
)

// String returns the name of the preset.
func (p Preset) String() string {
	if p == LocalFast {
		return "local-fast"
	}
	return "production"
}

// PresetFor returns LocalFast when a node binds and joins loopback addresses only,
// else Production.
func PresetFor(bind string, join []string) Preset {
	for _, a := range append([]string{bind}, join...) {
		if a != "" && !isLoopback(a) {
			return Production
		}
	}
	return LocalFast
}

// settings returns memberlist's configuration. Measurements quoted are of fleets of
// 3 to 500 nodes on one machine with memberlist v0.7.0.
func (p Preset) settings() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	// Compression cost 500 nodes two whole cores; the state is a bitmap and names,
	// and small.
	c.EnableCompression = false
	// Broadcasts are sent 4·log10(N+1) times by everyone who finds them new. With 2,
	// only 44-48 of 49 nodes were reached; the rest is push/pull's in any case.
	c.RetransmitMult = 4
	// A node that comes back under its name after a crash may have another port.
	c.DeadNodeReclaimTime = time.Millisecond
	// The UDP loop hands over to queues of this depth; a burst is one message per
	// node.
	c.HandoffQueueDepth = 4096
	if p == LocalFast {
		localFast(c)
	} else {
		production(c)
	}
	return c
}

func production(c *memberlist.Config) {
	// A mass start of 50 nodes took 44-60 s to see all with the default of 15-30 s
	// between push/pulls; 5 s brings 500 nodes together in 27 s.
	c.PushPullInterval = 5 * time.Second
	// Hosts that saturate their cores have been declared dead falsely with the usual
	// 0.5 s (consul#916 and #5567, alertmanager#1909). A longer timeout only makes
	// detection later.
	c.ProbeTimeout = 2 * time.Second
	c.ProbeInterval = 3 * time.Second
	// Suspicion lasts 6·3 s at least, 54 s at most (no peer to confirm it): time for
	// three chances to answer, and less than one unit.
	c.SuspicionMult = 6
	c.SuspicionMaxTimeoutMult = 3
	// A broadcast reaches ten nodes in 0.2-0.6 s this way, below the δ of ranks for
	// units of 12 s and more.
	c.GossipInterval = 200 * time.Millisecond
	c.GossipNodes = 4
	c.GossipToTheDeadTime = 30 * time.Second
	c.TCPTimeout = 10 * time.Second
}

func localFast(c *memberlist.Config) {
	c.PushPullInterval = time.Second
	// On one machine an answer takes microseconds, or a scheduler slice (some ten
	// milliseconds) when the cores are full.
	c.ProbeTimeout = 100 * time.Millisecond
	c.ProbeInterval = 200 * time.Millisecond
	// Suspicion lasts 0.8 s at least, 1.6 s at most.
	c.SuspicionMult = 4
	c.SuspicionMaxTimeoutMult = 2
	// A probe may slow down to 0.8 s, not to 1.6 s, when this node is starved.
	c.AwarenessMaxMultiplier = 4
	c.GossipInterval = 30 * time.Millisecond
	c.GossipNodes = 3
	c.GossipToTheDeadTime = 10 * time.Second
	c.TCPTimeout = 2 * time.Second
}

// rejoin returns the time between two attempts to find lost members.
func (p Preset) rejoin() time.Duration {
	if p == LocalFast {
		return 2 * time.Second
	}
	return 15 * time.Second
}
