// Package coordinator decides which node of a fleet works on which unit, and
// when a run is complete.
//
// # Vocabulary
//
//   - A unit is a piece of work, an integer in [0, Units). What it stands for is
//     the caller's business.
//   - A node is one process of the fleet; a member is a node that gossip shows
//     alive. A node alone is a fleet of one and needs no network.
//   - The ledger (Ledger) says which units are committed. It is the truth.
//   - The state (State) says who claims what, who has done what and how fast each node is. It is
//     gossiped, hence late, partial and sometimes wrong: a hint that saves work.
//   - A claim says that a node has started a unit, and how far it is. It is not a lock:
//     nothing stops a second node, and the ledger decides who was first.
//   - The rank of a node for a unit is its place in a weighted rendezvous hash of
//     (plan id, unit, node), the weight being the node's measured speed. The owner of
//     a unit is the live node of rank 0.
//
// # How a node chooses
//
// Every node runs the same rules over what it sees, without a leader:
//
//	open unit I own, nobody has claimed      -> start now
//	open unit I own, its claimer died        -> start now, after the above
//	open unit of somebody else               -> start after r·δ, where r counts the idle
//	                                            nodes before me, the owner included
//	claimed unit that is late, or on a node
//	  so slow that I would finish sooner     -> start it as well (speculative execution), within a budget
//	claimed unit less than half done, and I
//	  have never finished one                -> the first idle node tries it, within the budget
//	nothing of this                          -> wait for news, list the ledger now and then
//
// Right before a unit is handed out the ledger is checked once more, and while it is worked on it is checked when
// somebody says that it is done (Overtaken): a node that was overtaken drops it.
//
// # Guarantees
//
//   - Next hands out only units that the ledger, asked at that moment, does not
//     show committed, and returns ErrComplete only when for every unit either the
//     ledger said so or this node's own commit did; gossip alone is never enough.
//   - While at least one node runs and the ledger answers, every unit is in the
//     end committed: whatever gossip loses, duplicates, reorders or invents, whoever
//     dies, pauses or hangs. (Each wait ends by a timer; the ledger corrects a done
//     bit that is not true.)
//   - State merges are idempotent, commutative and associative, so the order and
//     number of deliveries do not matter.
//
// # Not guaranteed
//
//   - That a unit is started once. Two nodes may work on the same unit; the commit
//     (put if absent) must decide, and the loser calls Done with won = false.
//   - Fairness, or any order of the units.
//   - That clocks agree: times of other nodes are shown, never decided on.
package coordinator
