// Package memlimit bounds the memory of a process that does a stranger's bidding.
//
// Guaranteed, on Linux: what goes beyond the bound is refused by the system, which ends a Go program; the rest of the
// machine is not touched. Not guaranteed: anything elsewhere, where no such limit is kept.
package memlimit
