// Package arrows holds the test of the import rules: which package may import which, and which single
// package may import a third-party library. It has no code of its own.
package arrows
