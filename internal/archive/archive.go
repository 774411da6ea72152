// Package archive is the zip archives that .npz and .pt files are: files without folders of their own, read whole.
//
// Guaranteed: what is read takes no more memory than the archive's files can hold, whatever sizes it states; every
// file's sum is checked. It needs neither libtorch nor cgo.
package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrFormat says that a file is no archive of this kind.
var ErrFormat = errors.New("no archive that can be read")

// Part is a file in an archive.
type Part struct {
	Name string
	Data []byte
}

// Save writes an archive without compression, sizes and sums in front of every part.
func Save(path string, parts []Part) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := zip.NewWriter(f)
	for _, p := range parts {
		n := uint64(len(p.Data))
		out, err := w.CreateRaw(&zip.FileHeader{Name: p.Name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(p.Data),
			CompressedSize64: n, UncompressedSize64: n})
		if err != nil {
			return err
		}
		if _, err := out.Write(p.Data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), f.Sync())
}

const (
	maxParts = 1 << 12
	maxRatio = 1032 // of deflate: 258 bytes for two bits
)

// Load reads all parts of an archive file, by name.
func Load(path string) (parts map[string][]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // or a FIFO holds it up
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrFormat)
	}
	return Read(f, info.Size())
}

// Read reads all parts of an archive of size bytes, by name.
func Read(r io.ReaderAt, size int64) (map[string][]byte, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if len(z.File) > maxParts {
		return nil, fmt.Errorf("%w: it holds %d files", ErrFormat, len(z.File))
	}
	out, left := map[string][]byte{}, uint64(size)
	for _, f := range z.File {
		packed, n := f.CompressedSize64, f.UncompressedSize64
		if _, twice := out[f.Name]; twice || packed > left {
			return nil, fmt.Errorf("%w: %.80q is there twice or longer than the file", ErrFormat, f.Name)
		}
		left -= packed
		if f.Method == zip.Store && n != packed || f.Method != zip.Store && (f.Method != zip.Deflate || n > packed*maxRatio) {
			return nil, fmt.Errorf("%w: %.80q states a size of %d that its %d bytes cannot have", ErrFormat, f.Name, n, packed)
		}
		if out[f.Name], err = read(f, int(n)); err != nil {
			return nil, fmt.Errorf("%w: %.80q: %v", ErrFormat, f.Name, err)
		}
	}
	return out, nil
}

func read(f *zip.File, n int) (data []byte, err error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data = make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r) // the sum is looked at when the end is reached
	return data, err
}
