// Package s3 is a store in a bucket of Amazon S3 or of a server that speaks its protocol.
//
// An object lies under prefix/key. A pending object is spooled to a local file without a name and uploaded at Commit in
// a single PUT with If-None-Match: *, the put-if-absent that S3 has had since August 2024; never in parts, because a
// multipart upload loses the condition on many servers. So an object has at most MaxObject bytes.
//
// # When a reply is lost
//
// Every commit carries an attempt number of its own and its SHA-256 as user metadata. After a 412, a 409, a time-out or
// a broken connection, Commit looks at the object: if attempt, size and SHA-256 are its own it has won, if they are
// another's it returns store.ErrExists, and if nothing is there it retries the PUT, with jittered waits, for
// Config.Retry. The other operations return errors that wrap store.ErrUnavailable where a retry can help; wrap the
// store with package retry.
//
// # A server that ignores the condition
//
// would let two nodes overwrite each other. Open puts the empty object ".actfleet-probe" below the prefix and
// refuses the store with ErrNoCondition unless a second put of it fails with 412. List never shows the object.
//
// # Not guaranteed
//
// A node that is killed leaves nothing in the bucket, and nothing in the spool where the file system has files without
// a name. Whoever overwrites or deletes objects without a condition, by other programs, breaks the run.
package s3
