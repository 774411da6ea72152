// Package tfevents writes and reads the event files that TensorBoard shows, without
// TensorFlow.
//
// A file is a sequence of records: the length of the data as 8 bytes, a checksum of these,
// the data, a checksum of it, all little-endian; a checksum is the CRC-32C, rotated right by
// 15 bits, plus 0xa282ead8. The data of a record is a protocol buffer tensorboard.Event, the
// first of which says brain.Event:2. The field numbers are those of event.proto,
// summary.proto and histogram.proto of tensorboard 2.21; scalars are simple_value,
// histograms histo.
//
// Guaranteed: the bytes are a function of the input, including time and host; after Cut no
// reader finds a truncated or unwanted event.
// Not guaranteed: that an event of a process that was killed is there, or whole, before Cut.
package tfevents
