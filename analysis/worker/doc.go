// Package worker answers questions in a process of its own, so that no question takes the program, or the machine, with
// it.
//
// Vocabulary. The worker is this program again, started with a hidden command that calls Serve; its owner is the process
// that called Start. Scratch is the folder in TMPDIR for links, mirrors and what DuckDB spills.
//
// Guaranteed. What a worker allocates is bounded by the system itself (RLIMIT_DATA on Linux), also where DuckDB does not
// count. Whatever ends a question, its memory, its time, a cancelled context or the worker's death, is one line, and the
// next question is answered, by a new worker if need be. When the owner ends, however it ends, its worker ends too and the
// scratch folder goes; what both left behind when both were killed goes at the next Start.
//
// Not guaranteed. A new worker knows no temporary tables of the old one. Elsewhere than on Linux only DuckDB's own count
// bounds the memory.
//
// # Protocol
//
// The owner writes one JSON object a line to the worker's standard input: a request with a number, or the number of a
// request to cancel. The worker writes frames to its standard output: a JSON object a line, which for a part of an answer
// is followed by that many bytes. Every request, and the start, ends with a frame that says so.
package worker
