// Package storebench measures how close the shard format comes to the limits of the machine.
//
// Every number is compared with its hardware limit, measured in the same run on the same bytes, the two alternating:
// writing a shard with write(2) of as many bytes, reading a mapped shard with touching the mapped file, committing with
// write and fsync, checking a run with reading it or hashing it. A result is the median over the rounds, and its ratio
// the median of the rounds' ratios, so that a busy neighbour disturbs both sides alike.
//
// Not measured: a cold disk. The files fit in the page cache, which a run of many units does not.
package storebench
