package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errNotRegular says that a key's path is a directory or a device: no object.
var errNotRegular = errors.New("not a regular file")

// object is an open file, mapped into memory.
type object struct {
	file *os.File
	size int64
	data []byte
}

func openObject(path string) (*object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	o, err := mapFile(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return o, nil
}

func mapFile(f *os.File) (*object, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errNotRegular
	}
	o := &object{file: f, size: fi.Size()}
	if o.size > 0 {
		o.data, err = unix.Mmap(int(f.Fd()), 0, int(o.size), unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil || o.size == 0 {
		return o, err
	}
	return o, unix.Madvise(o.data, unix.MADV_RANDOM) // or a fault reads what lies around it too: Need says what is wanted
}

func (o *object) Size() int64   { return o.size }
func (o *object) Bytes() []byte { return o.data }

// Need begins to read a range into memory and does not wait for it.
func (o *object) Need(off, size int64) {
	_ = unix.Fadvise(int(o.file.Fd()), off, size, unix.FADV_WILLNEED) // only advice
}

func (o *object) ReadAt(b []byte, off int64) (int, error) { return o.file.ReadAt(b, off) }

func (o *object) Close() error {
	var err error
	if o.data != nil {
		err = unix.Munmap(o.data)
		o.data = nil
	}
	return errors.Join(err, o.file.Close())
}
