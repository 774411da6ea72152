// Package mapped maps whole files into memory for reading.
//
// Guaranteed: only regular files are mapped, and looking at a path never blocks: a directory, a device, a socket or a
// FIFO that nobody writes to is refused at once. Links are followed, as the cache of a model hub makes them.
// Not guaranteed: safety from a file that is shortened by somebody else while it is mapped (the system then stops the
// process).
package mapped
