// Package mapped maps whole files into memory for reading.
//
// Guaranteed: only regular files are mapped, and looking at a path never blocks: a directory, a device, a socket or a
// FIFO that nobody writes to is refused at once. Links are followed, as the cache of a model hub makes them. Whoever
// touches mapped bytes under a [Guard] gets ErrLost, with the file's name, when somebody else has shortened the file or
// its disk or server fails; without one the system stops the process.
//
// Not guaranteed: bytes between the new end of a shortened file and the end of its page read as zeros and give no
// error; C code that touches a map is not guarded.
package mapped
