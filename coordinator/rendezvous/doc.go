// Package rendezvous lets nodes of a fleet that do one job together agree on their ranks.
//
// # Vocabulary
//
//   - A group is a number of nodes, its world, with a rank each, from 0 on; rank 0 leads it.
//   - A place is this node's listener: every node listens, and advertises its address through gossip
//     (Member.Service).
//   - A node gathers while it is in no group: it leads, or follows a leader.
//   - A card is a message that reaches all other ranks of a group; what it says is theirs.
//
// # How a group comes about
//
// A node that gathers asks every member it sees. One that leads a group already lets it wait. One that follows or is
// in a group names its leader. One that gathers as well accepts those whose id is greater than its own. Whoever finds
// nobody to follow leads, and starts the group when as many ranks as are wanted are there; or when some of them have
// lost a group, after a patience, with fewer. All messages of a group go through its rank 0.
//
// # Guarantees
//
//   - All ranks of a group are told the same world and the same nodes, by the one node that leads.
//   - When the connection between a rank and rank 0 ends, or is silent for half a minute, every rank learns that the
//     group is over (Gone), and who was lost.
//   - A node that comes to a running group waits, and rank 0 knows (Waiting).
//   - With a secret, nodes without it are rejected everywhere.
//   - What another process sends is checked before it is used or shown; what cannot be read ends its connection, and
//     is reported once per machine.
//
// # Not guaranteed
//
//   - That there is one group: parts of a network that cannot reach each other gather apart. What must be done once
//     needs a lock where it is done.
//   - Secrecy: messages are authenticated when a node comes, and not encrypted.
package rendezvous
