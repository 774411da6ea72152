// Package outfile puts a result where its user asked for it: whole or not at all, and never over what is not ours.
//
// Vocabulary. A place is a path that may be written to. What lies there is ours if a program of ours made it, which its
// first bytes tell. A leftover is the temporary file of a process that was killed while it wrote.
//
// Guaranteed: nobody ever sees half of a file; what is written is durable when Write and Replace return;
// after an error the place holds what it held; Place refuses what exists and is not ours, and every path below the
// folders that a run, a model or a coder are made of, whatever links and ".." lead there. A leftover goes with the next
// write to the same place, an hour after its last change.
//
// Not guaranteed: two programs that write one place at the same time both succeed, and the later one stays; what appears
// at a place between Place and the write is replaced.
package outfile
