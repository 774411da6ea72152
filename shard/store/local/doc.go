// Package local is a store in a directory of a file system: a disk, or a network file system that several nodes mount.
//
// An object is a regular file; its key is its path below the directory. A pending object is a file without a name
// (O_TMPFILE), which the kernel frees when its writer dies, and Commit is link(2), which fails when the name is taken:
// so put-if-absent needs no lock, and kill -9 at any moment leaves either the whole object or nothing.
//
// Where files without a name are not supported (NFS, some FUSE file systems, systems other than Linux) a pending
// object is a hidden file beside its key, ".pending-…", held under flock(2) by its writer and linked to the key by
// Commit. A writer that is killed leaves the hidden file, and the next Create in that directory removes every hidden
// file whose lock is free. List never shows hidden files.
//
// Commit makes the file durable (fsync) before it has its name and the directory durable after. On NFS a link whose
// reply was lost is reported as "exists" when it is repeated; the link count of our own file then shows that our
// commit won.
//
// Not guaranteed: a file system whose link(2) or fsync(2) lies; a directory that somebody else writes to by other
// means; the readability of an object that is truncated while it is mapped.
package local
