// Package fault wraps a store and lets chosen operations fail, for tests of whoever uses a store.
//
// An operation is one call of Create, Write, Commit, Abort, Open, ReadAt, List or Delete. They are counted from 1 in
// the order in which they begin. A test that lets operation 1, 2, 3, … fail until nothing fails any more has seen
// every single fault.
//
// A failed operation does nothing, except with Faults.After, where it is done and its success is lost, as when a
// network drops the reply. After a fault the store works again.
package fault
