// Package fleettest runs a fleet of coordinators in one process: their own network
// with delay, loss, full inboxes, partitions, pauses and crashes, a store in memory,
// and a clock that jumps from event to event, so that a night of a hundred nodes
// takes a second and is the same for the same seed.
//
// # Vocabulary
//
//   - A Clock is virtual time: functions to be run at given times, in order.
//   - A Network connects Peers, which implement coordinator.Peers, by messages and
//     counts their bytes in the real encoding. It runs on a Clock, or on real time for
//     tests of programs.
//   - A Store is a ledger in which the first commit of a unit wins.
//   - A Fleet is nodes that ask their coordinators for units, work on them for a
//     given time and commit them.
//
// # Guarantees
//
// On a Clock everything runs on the calling goroutine and depends on the seed only.
// A paused node neither works nor receives messages; a crashed one never sends
// anything again; a node that is cut off, paused or crashed vanishes from the others'
// membership after Options.Detect, and one that is reachable again comes back.
//
// # Not modelled
//
// A node that stops in the middle of a coordinator's method; a store that is slow.
package fleettest
