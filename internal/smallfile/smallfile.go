// Package smallfile reads files that a program takes as a whole and that somebody else may have put there.
//
// Guaranteed: only regular files are read (a FIFO, a socket, a device or a directory is refused without waiting for
// it), and by Read never more than the limit, however much the file holds or grows to hold meanwhile.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// What is wrong with a file that is there.
var (
	// ErrNotRegular says that a name stands for something else than a regular file.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge says that a file holds more than its reader takes.
	ErrTooLarge = errors.New("file too large")
)

// Open opens the regular file at path for reading, without waiting for what is none. Errors name the path and are
// ErrNotRegular, or what the file system says.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) { // a socket
		return nil, nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Read returns the content of the regular file at path, at most limit bytes of it. Errors name the path and are
// ErrNotRegular, ErrTooLarge, or what the file system says.
func Read(path string, limit int64) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	if info.Size() > limit {
		return nil, tooLarge(path, limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = tooLarge(path, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("read %w", err)
	}
	return data, nil
}

func tooLarge(path string, limit int64) error {
	return fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLarge, limit)
}
