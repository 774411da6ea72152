package main

import (
	"os"
	"syscall"
	"time"
)

// disturb does one of the things that happen to nodes, unless too few would be left to be disturbed.
func (tr *trial) disturb() {
	alive := tr.alive()
	if len(alive) < fleetSize/2 {
		return
	}
	i := alive[tr.rng.IntN(len(alive))]
	switch kind := tr.rng.IntN(6); {
	case tr.hung < 0 && len(tr.cut) == 0:
		tr.hang(i)
	case kind < 2 && tr.did["killed"] < mostKills:
		tr.kill(i)
	case kind == 2 && tr.did["stopped"] == 0:
		tr.stop(i)
	case kind == 3 && tr.lab.hub != nil && tr.did["cut off"] == 0:
		tr.partition(alive[:len(alive)/2])
	}
}

// mostKills bounds the nodes killed in a trial: if all die sooner than they can make a unit, it does not end.
const mostKills = 6

// hang stops a node until all others are done.
func (tr *trial) hang(i int) {
	tr.did["hung to the end"]++
	tr.nodes[i].signal(tr.T, syscall.SIGSTOP)
	tr.hung = i
}

// kill ends a node with -9 and starts another in its place some seconds later.
func (tr *trial) kill(i int) {
	tr.did["killed"]++
	tr.nodes[i].signal(tr.T, syscall.SIGKILL)
	tr.nodes[i].wait(tr.T)
	tr.nodes[i] = nil
	tr.after(tr.between(time.Second, 4*time.Second), func() { tr.restart(i) })
}

// restart waits for the network to be whole, since a node that reaches nobody cannot join, and leaves it when the others
// are about to end.
func (tr *trial) restart(i int) {
	if tr.count() > len(tr.sums)*9/10 {
		return
	}
	if len(tr.cut) > 0 {
		tr.after(time.Second, func() { tr.restart(i) })
		return
	}
	tr.did["started again"]++
	tr.join(i)
}

// stop halts a node for half a minute, in the short form for some seconds.
func (tr *trial) stop(i int) {
	tr.did["stopped"]++
	p := tr.nodes[i]
	p.signal(tr.T, syscall.SIGSTOP)
	tr.nodes[i] = nil // nobody else touches it
	halt := tr.between(3*time.Second, 8*time.Second)
	if os.Getenv("ACTFLEET_FLEET_LONG") != "" {
		halt = 30 * time.Second
	}
	tr.after(halt, func() {
		p.signal(tr.T, syscall.SIGCONT)
		tr.nodes[i] = p
	})
}

// partition cuts nodes off for some seconds, from the bucket, too.
func (tr *trial) partition(nodes []int) {
	tr.did["cut off"] += len(nodes)
	tr.cut = nodes
	tr.lab.cut(nodes)
	tr.after(tr.between(3*time.Second, 10*time.Second), func() {
		tr.lab.heal(nodes)
		tr.cut = nil
	})
}
