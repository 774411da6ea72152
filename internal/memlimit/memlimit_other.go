//go:build !linux

package memlimit

// Bound does nothing: macOS keeps no such limit.
func Bound(int64) error { return nil }
