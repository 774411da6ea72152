// Package safetensors reads and writes tensor files in the safetensors format.
//
// A file is eight bytes of header length (little-endian), a JSON header that gives
// every tensor a dtype, a shape and a byte range, and the data. A checkpoint is
// one file, or several (shards) with an index that says which tensor lies where.
//
// Guaranteed: a file that opens has been checked whole: every range inside the
// file, ranges without gaps or overlaps, sizes equal to dtype × shape, names
// unique, nothing allocated from a number in the file before the number was
// bounded. Bytes are views of a read-only memory map, valid until Close, and begin at
// an address that suits the element type (a tensor that lies otherwise is copied). What is
// written is a pure function of the tensors and the metadata, and appears under
// its name complete or not at all.
// Not guaranteed: finite values, and safety from a file that is shortened by
// somebody else while it is mapped (the system then stops the process).
//
// Format: https://github.com/huggingface/safetensors (README, "Format").
package safetensors
