// Package retry repeats operations of a store that failed because the store could not be reached or was overloaded.
//
// Only errors that wrap store.ErrUnavailable are repeated, with waits that double from Policy.First to Policy.Longest,
// each spread at random by half of itself, until Policy.Most has passed. Everything else is returned at once.
//
// Wrap never repeats a Commit: after any error the pending object is gone, and only the store itself can check whether
// a commit whose reply was lost was done. Stores do that inside Commit, with Do.
package retry
