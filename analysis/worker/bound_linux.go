package worker

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// overhead is what a worker takes besides what it holds for a question: stacks of threads, Go's own.
const overhead = 128 << 20

// bound lets the process allocate so many bytes, and overhead, more than it has now. RLIMIT_DATA counts what can be written to and is
// private, which RLIMIT_AS would drown in what Go and malloc merely reserve.
func bound(memory int64) error {
	if memory <= 0 {
		return nil
	}
	now, err := writable()
	if err != nil {
		return fmt.Errorf("bound the memory of the worker: %w", err)
	}
	limit := uint64(now + memory + overhead)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("bound the memory of the worker: %w", err)
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
