// Package mem is a store in the memory of one process, for tests and examples.
//
// It keeps every guarantee of package store but durability: the objects die with the process.
package mem
