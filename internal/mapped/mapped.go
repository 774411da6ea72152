package mapped

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that a name stands for something else than a regular file.
var ErrNotRegular = errors.New("not a regular file")

// Open maps the file at path. An empty one gives no bytes and no error. Errors name the path.
func Open(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only, and the map outlives it
	return File(f)
}

// File maps an open file, which may be closed before the map is. It is otherwise as Open.
func File(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(st.Size())
	switch {
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", f.Name(), ErrNotRegular)
	case size == 0:
		return nil, nil
	case int64(size) != st.Size():
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can map", f.Name(), st.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	maps.Store(start(data), region{f.Name(), uintptr(size)})
	return data, nil
}

// Close ends a map that Open or File made; what looks at it is invalid from here on. Nothing mapped is nothing to do.
func Close(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	maps.Delete(start(data))
	return os.NewSyscallError("munmap", unix.Munmap(data))
}

// maps is every region that is mapped now, by its first address.
var maps sync.Map

type region struct {
	path string
	size uintptr
}

func start(data []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(data))) }

// fileAt is the file mapped at an address.
func fileAt(addr uintptr) (path string, ok bool) {
	maps.Range(func(from, r any) bool {
		if at := addr - from.(uintptr); at < r.(region).size {
			path, ok = r.(region).path, true
		}
		return !ok
	})
	return path, ok
}
