// Package mirror makes a directory that stands in for a run in a store: of every shard a sparse file of its size that
// holds the footer, and of the columns those that were fetched.
//
// Vocabulary. A hole is a part of a file that was not fetched; it reads as zeros and takes no room on the disk.
//
// Guaranteed: a column is there whole or not at all, for all row groups of a file; what is fetched once is not fetched
// again; a Parquet reader that needs a hole ends with an error, because zeros are no page header.
// Not guaranteed: shards committed after Open, which are not in the directory; that the bytes are sound, as `check`
// proves. Nothing is written to the store.
package mirror
