// Package storebench measures how near the shard format comes to what the machine can do.
//
// Every number stands beside its physical limit, measured in the same run on the same bytes, the two taking turns:
// writing a shard beside write(2) of as many bytes, reading a mapped shard beside touching the mapped file, committing
// beside write and fsync, checking a run beside reading it or hashing it. A result is the median over the rounds, and its ratio the median of the rounds' ratios, so
// that a busy neighbour disturbs both sides alike.
//
// Not measured: a cold disk. The files are as small as the page cache likes, and a run of many units is not.
package storebench
