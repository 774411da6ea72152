// Package ranks is the all-reduce interface of a training that runs on several processes.
//
// A rank is one of the processes, from 0 on; the world is their number. Each has the same weights and computes
// gradients and statistics of its own rows of a batch; sums over the ranks then stand for all rows, and every rank
// takes the same optimizer step. Who the others are and how numbers reach them is behind the interface Ranks.
//
// Guaranteed: what this package computes is the same on every rank, and does not depend on how rows are spread over
// ranks that are in their order, up to the rounding of sums.
// Not guaranteed: that calls return before the other ranks have made theirs. All ranks must make the same calls, in
// the same order.
package ranks
