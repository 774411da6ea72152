// Package node is the life of one node of a collecting fleet: join, claim, collect, drain, leave, and the log of it.
//
// A node publishes the run's plan and prompts, or takes them from the run; joins its fleet by gossip, or is a fleet
// of one; and computes and commits units (package collector) as the coordinator gives them out, until the run is
// whole. It is paused and resumed by signals, and told to stop by the end of its context; then it drains: it begins
// no other unit, finishes the one in hand if measured times say that its grace suffices, drops it otherwise, says
// goodbye and ends.
//
// Guarantees: nothing is written to a run that another plan made; whenever a node stops, and however, what it
// committed is whole and what it did not commit leaves nothing; a log that cannot be written is an error at the end
// and stops no work.
//
// Non-guarantees: a node that is killed says no goodbye, and its log lacks the end; a signal that comes before the
// node has joined waits until it has.
package node
