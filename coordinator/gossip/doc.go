// Package gossip carries the state of a fleet between its nodes over memberlist.
//
// # Vocabulary
//
//   - A Fleet is this node's membership in a fleet: it implements
//     coordinator.Peers.
//   - A seed is an address to join by; any member will do.
//   - A preset is a set of timings: Production or LocalFast.
//   - An Observer sees the fleet's state and takes no part in the work.
//   - The secret is a key of 16, 24 or 32 bytes, shared by the fleet, under which
//     all traffic is encrypted and authenticated (AES-GCM).
//
// # What travels
//
// Every change is broadcast at once in small UDP packets, best effort, and passed
// on by whoever finds it new. Every few seconds each node exchanges its whole state
// with a random other one over TCP; what the broadcasts missed arrives then. Every
// message and every node's metadata carries the plan id: a node of another plan is
// rejected, on both sides, with a line that gives both ids.
//
// # Guarantees
//
//   - No callback of memberlist waits for anything: what does not fit a bounded
//     queue is dropped and counted (Stats).
//   - Among members that stay connected, every published change reaches every
//     member, after a few push/pull intervals at the latest.
//   - Close leaves the fleet, so that the others need not detect it, and returns when
//     all goroutines of this package have ended.
//   - Members that lost each other (a partition, a laptop asleep) look for each
//     other again by address and merge.
//   - Whatever is sent to a member's port costs that message at most: it is checked
//     behind one boundary, counted (Stats.Bad) and logged once for each sender. A name
//     that could harm a terminal is refused.
//
// # Not guaranteed
//
//   - That the members shown are alive, or that all alive are shown: detection takes
//     seconds, and a machine starved of CPU may be falsely declared dead.
//   - Any order or timeliness of delivery. Nothing here excludes anybody from
//     anything; see package coordinator.
//   - Of a broadcast or a state that cannot be read, who sent it: memberlist does not
//     say, except for node metadata and what it cannot read itself.
//   - Without a secret, that members are who they say: whoever reaches the port can
//     join. Hence the default is to bind the loopback address.
package gossip
