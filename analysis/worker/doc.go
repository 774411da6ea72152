// Package worker runs queries in a separate process, so that no query can take down the program or the machine.
//
// Vocabulary. The worker is this program again, started with a hidden command that calls Serve; its owner is the process
// that called Start. Scratch is the folder in TMPDIR for links, mirrors and what DuckDB spills.
//
// Guaranteed. A worker's memory is limited by the system itself (RLIMIT_DATA on Linux), even where DuckDB does not
// account for it. Whatever ends a query (memory, time, a cancelled context or the worker's death) is a one-line error,
// and the next query runs, in a new worker if need be. When the owner exits, for whatever reason, its worker exits too
// and the scratch folder is removed; if both were killed, the next Start removes what they left behind.
//
// Not guaranteed. A new worker does not have the temporary tables of the old one. Outside Linux only DuckDB's own
// accounting limits the memory.
//
// # Protocol
//
// The owner writes one JSON object per line to the worker's standard input: a request with a number, or the number of a
// request to cancel. The worker writes frames to its standard output: one JSON object per line, followed, for a part of
// a result, by that many bytes. Every request, and the start, ends with a frame that says so.
package worker
