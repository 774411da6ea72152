package outfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Replace puts a file in place that holds data. It replaces an older one.
func Replace(path string, data []byte) error {
	return Write(path, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// Write puts a file in place that holds what fill writes. It replaces an older one.
func Write(path string, fill func(f *os.File) error) error {
	sweep(path)
	f, err := os.CreateTemp(filepath.Dir(path), temporary(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = fill(f); err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder durable: what was put there, renamed or linked stays so after a crash.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// temporary is the pattern of the temporary names for a place: hidden, and beside it.
func temporary(path string) string { return "." + clip(filepath.Base(path)) + ".tmp-*" }

// clip leaves room for the rest of a temporary name: names have at most 255 bytes.
func clip(base string) string {
	const most = 200
	return strings.ReplaceAll(base[:min(len(base), most)], "*", "_") // CreateTemp puts its number at the last *
}

// leftoverAge is how long nobody has written to a temporary file that counts as left over.
const leftoverAge = time.Hour

// sweep removes the leftovers of a place. What cannot be removed stays.
func sweep(path string) {
	prefix := strings.TrimSuffix(temporary(path), "*")
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		digits, found := strings.CutPrefix(e.Name(), prefix)
		if !found || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftoverAge {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

// Head reads the first bytes of a file, to tell whose it is.
func Head(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(io.LimitReader(f, headBytes))
	return head, errors.Join(err, f.Close())
}

const headBytes = 4096
