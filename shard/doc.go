// Package shard defines the activation shard: one Parquet file with the activations of a range of data-set rows, and
// the run, the directory of such files that one collection makes.
package shard
