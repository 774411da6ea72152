package coder

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"actfleet/internal/smallfile"
)

// Weights that are no file are refused without waiting for whoever may write to them.
func TestIDOfWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, WeightsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := HashFile(filepath.Join(dir, WeightsFile)); !errors.Is(err, smallfile.ErrNotRegular) {
		t.Errorf("a FIFO: %v", err)
	}
	if _, err := HashFile("/dev/zero"); !errors.Is(err, smallfile.ErrNotRegular) {
		t.Errorf("/dev/zero: %v", err)
	}
}
