// Package collectbench measures what collecting costs over the bare forward pass, in one run.
//
// Both sides compute the same batches of the same prompts in turn, and the median of several rounds
// counts: machines drift. The bare side taps nothing but computes every block; the full side packs
// every tap, writes the shards and commits them to a directory.
package collectbench
