// Package arrows holds the test that keeps the rooms apart: which package may import which, and which
// one package may import a foreign library. It has no code of its own.
package arrows
