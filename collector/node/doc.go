// Package node is the life of one node of a collecting fleet: join, claim, collect, drain, leave, and the log of it.
//
// A node publishes the run's plan and prompts, or takes them from the run; joins its fleet by gossip, or is a fleet
// of one; and computes and commits units (package collector) as the coordinator gives them out, until the run is
// whole. It is paused and resumed by signals, and told to stop by the end of its context; then it drains: it starts
// no other unit, finishes the current one if measured times say that the grace period suffices, drops it otherwise,
// leaves the fleet and exits.
//
// Of a ring (package run) a node looks at the store now and then, deletes what every reader has acknowledged, and begins
// no unit that does not fit; when the ring is full it says which reader it waits for.
//
// Guarantees: nothing is written to a run that another plan made; whenever a node stops, and however, what it
// committed is whole and what it did not commit leaves nothing; a log that cannot be written is an error at the end
// and stops no work.
//
// Non-guarantees: a killed node does not leave the fleet properly, and its log lacks the end; a signal that arrives
// before the node has joined is handled once it has.
package node
