// Package parallel runs loops over index ranges on all cores.
//
// Guaranteed: which index falls into which call may depend on the number of cores,
// so a loop body that writes only what belongs to its own index gives the same
// result on any machine; Sum adds in an order that depends on n alone.
// Not guaranteed: anything about bodies that share what they write.
package parallel
