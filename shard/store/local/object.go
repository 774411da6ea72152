package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"actfleet/internal/mapped"
)

// object is an open file, mapped into memory.
type object struct {
	file *os.File
	data []byte
}

func openObject(path string) (*object, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // or a FIFO holds it up
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
	data, err := mapped.File(f)
	if err != nil || data == nil {
		return &object{file: f}, err
	}
	return &object{f, data}, unix.Madvise(data, unix.MADV_RANDOM) // or a fault reads what lies around it too: Need says what is wanted
}

func (o *object) Size() int64   { return int64(len(o.data)) }
func (o *object) Bytes() []byte { return o.data }

// Need begins to read a range into memory and does not wait for it.
func (o *object) Need(off, size int64) {
	willNeed(o.file, off, size)
}

func (o *object) ReadAt(b []byte, off int64) (int, error) { return o.file.ReadAt(b, off) }

func (o *object) Close() error {
	err := mapped.Close(o.data)
	o.data = nil
	return errors.Join(err, o.file.Close())
}
