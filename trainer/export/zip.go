package export

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
)

// part is a file in an archive.
type part struct {
	name string
	data []byte
}

// saveZip writes an archive without compression, sizes and sums in front of every part.
func saveZip(path string, parts []part) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := zip.NewWriter(f)
	for _, p := range parts {
		n := uint64(len(p.data))
		out, err := w.CreateRaw(&zip.FileHeader{Name: p.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(p.data), CompressedSize64: n, UncompressedSize64: n})
		if err != nil {
			return err
		}
		if _, err := out.Write(p.data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), f.Sync())
}

// maxParts bounds the files of an archive.
const maxParts = 1 << 12

// readZip reads all parts of an archive. Sizes are bounded by the file's own: only parts without
// compression are read.
func readZip(r io.ReaderAt, size int64) (map[string][]byte, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if len(z.File) > maxParts {
		return nil, fmt.Errorf("%w: an archive of %d files", ErrFormat, len(z.File))
	}
	out, left := map[string][]byte{}, uint64(size)
	for _, f := range z.File {
		n := f.UncompressedSize64
		if f.Method != zip.Store || n > left || n > math.MaxInt {
			return nil, fmt.Errorf("%w: %.80q is compressed or longer than the file", ErrFormat, f.Name)
		}
		left -= n
		data, err := readPart(f, int(n))
		if err != nil {
			return nil, fmt.Errorf("%w: %.80q: %v", ErrFormat, f.Name, err)
		}
		out[f.Name] = data
	}
	return out, nil
}

func readPart(f *zip.File, n int) (data []byte, err error) {
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

// loadZip reads all parts of an archive file.
func loadZip(path string) (parts map[string][]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readZip(f, info.Size())
}
