// Package mirror makes a local directory that stands in for a run in a store: for every shard a sparse file of its
// size that holds the footer and the columns that were fetched.
//
// Vocabulary. A hole is a part of a file that was not fetched; it reads as zeros and uses no disk space.
//
// Guaranteed: a column is present whole or not at all, for all row groups of a file; nothing is fetched twice; a
// Parquet reader that reads a hole fails, because zeros are not a page header.
// Not guaranteed: shards committed after Open, which are not in the directory; that the bytes are undamaged;
// `check` proves that. Nothing is written to the store.
package mirror
