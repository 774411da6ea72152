package s3

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openSpool makes a file without a name, which is gone when it is closed or its writer dies.
func openSpool(dir string) (*os.File, error) {
	for {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), dir+"/(spool)"), nil
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
			return unlinkedSpool(dir)
		case !errors.Is(err, unix.EINTR):
			return nil, err
		}
	}
}
