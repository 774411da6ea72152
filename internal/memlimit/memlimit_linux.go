package memlimit

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Bound lets the process allocate so many bytes more than it has now, for good. RLIMIT_DATA counts what can be written to
// and is private, which RLIMIT_AS would drown in what Go and malloc merely reserve.
func Bound(more int64) error {
	now, err := writable()
	if err != nil {
		return fmt.Errorf("bound the memory of the process: %w", err)
	}
	limit := uint64(now + more)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("bound the memory of the process: %w", err)
	}
	return nil
}

// writable is how many bytes the process has that RLIMIT_DATA counts.
func writable() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident, shared, code, lib, data int64
	if _, err := fmt.Sscan(string(text), &size, &resident, &shared, &code, &lib, &data); err != nil {
		return 0, err
	}
	return data * int64(os.Getpagesize()), nil
}
