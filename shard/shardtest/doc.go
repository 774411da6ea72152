// Package shardtest writes small shards and runs with known values, for tests and benchmarks.
//
// The caller says which rows there are and gives values as functions of a row's key; what it does not give is
// arithmetic on the key. Shards are committed as a collector commits them. Stores that count, cut or lose things stand in
// between where a test asks for that.
package shardtest
