package mapped

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open maps the file at path. An empty one gives no bytes and no error. Errors name the path.
func Open(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only, and the map outlives it
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(st.Size())
	switch {
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case size == 0:
		return nil, nil
	case int64(size) != st.Size():
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can map", path, st.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, nil
}

// Close ends a map that Open made; what looks at it is invalid from here on. Nothing mapped is nothing to do.
func Close(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(data))
}
