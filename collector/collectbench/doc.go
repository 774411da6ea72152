// Package collectbench measures the overhead of collecting relative to the bare forward pass, in
// one run.
//
// Both sides alternate on the same batches of the same prompts, and the result is the median of
// several rounds, because machines drift. The bare side taps nothing but computes every block; the
// full side packs every tap, writes the shards and commits them to a directory.
package collectbench
