// Package crew is the life of a process that trains together with others: it meets them, computes as one rank of a group,
// and continues in the next group when a rank is lost or a new one joins.
//
// # Vocabulary
//
// A rank is one of the processes that train together; a group is those of the moment, and their number is the world.
// Rank 0 alone evaluates and writes. Gradients are all-reduced through Gloo; the rendezvous tracks which ranks are
// present and which are lost.
//
// # Guarantees
//
// A rank that dies is reported by the others, which continue from the last checkpoint, with a replacement if one joins
// soon. A process that starts when the folder already holds the finished coders of its recipe does not wait for others.
// Two groups never write to one folder, if its file system supports locks.
//
// # Not guaranteed
//
// Secrecy: the all-reduce is not encrypted.
package crew
