// Package arrow writes rows of shards as an Arrow IPC stream, which pyarrow, Polars, R and DuckDB read.
//
// One record batch is one row group. A scalar column keeps its type; a vector column becomes a fixed-size list of
// float16 or float32, the wider one if the shards of a stream differ. No value is null. Vectors go from the mapped
// file to the stream without a copy in between, where the row group is one page and its type is that of the stream.
//
// Guaranteed: the rows come in the order of the shards and of the rows in them; the schema's metadata has the plan
// id.
// Not guaranteed: a stream that ends in an error is truncated, and its reader notices only at the end.
package arrow
