// Package crew is the life of a process that trains together with others: it meets them, computes as one rank of a group,
// and goes on in the next group when a rank is lost or another one comes.
//
// # Vocabulary
//
// A rank is one of the processes that train together; a group is those of the moment, and their number is the world.
// Rank 0 alone evaluates and writes. Gradients are all-reduced through Gloo; who is there, and who is lost, is known by
// the rendezvous.
//
// # Guarantees
//
// A rank that dies is named by the others, which go on from the last checkpoint, with a newcomer if one comes soon.
// Who comes when the folder holds the finished coders of its recipe does not wait for anybody.
// Two groups never write to one folder, as far as its file system knows locks.
//
// # Not guaranteed
//
// Secrecy: what is summed goes over the network as it is.
package crew
