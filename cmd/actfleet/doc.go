// Command actfleet collects a language model's activations with a fleet of nodes and trains on them.
//
// This directory holds flags, wiring and exit codes, one file per command; the work is done in the
// packages it imports.
package main
