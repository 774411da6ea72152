package s3

import (
	"errors"
	"os"
)

// unlinkedSpool makes a file and takes its name away at once.
func unlinkedSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "actfleet-spool-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
