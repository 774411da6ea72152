// Package runtest writes small runs with known activations for tests and benchmarks.
//
// A Run is prompts with their tokens; the caller gives every vector as a function of
// (row, pos). Units are committed as a collector commits them.
package runtest
