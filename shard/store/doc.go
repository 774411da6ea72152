// Package store is the object store that the nodes of a fleet share: whole objects, written once, visible whole or not
// at all.
//
// # Vocabulary
//
// An object is a sequence of bytes under a key. A key is a slash-separated path such as "acts/unit-000007.parquet".
// A pending object has been created and not yet committed; nobody else can see it. To commit is to put the pending
// object at its key if nothing is there.
//
// # Guarantees, kept by every implementation (package storetest checks them)
//
//   - Put if absent: of any number of commits to one key, from any number of goroutines, processes and machines,
//     exactly one succeeds. The others return ErrExists and change nothing.
//   - Atomic visibility: List and Open show an object whole, or do not show it.
//   - Durability: when Commit returns nil, the object survives a crash of the machine.
//   - List after commit: a List that starts after Commit returned shows the object.
//   - A writer that dies leaves no object, and where the system allows it no bytes either.
//
// # Not guaranteed
//
// Nothing orders the commits of two keys. An object that is deleted while somebody reads it may or may not stay
// readable. A Commit that returns an error other than ErrExists may have committed: look before you repeat it.
package store
