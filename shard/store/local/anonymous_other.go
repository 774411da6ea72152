//go:build !linux

package local

import (
	"errors"
	"os"
)

// anonymousFiles reports false: only Linux can link a file that has no name.
func anonymousFiles(string) bool { return false }

func beginAnonymous(string) (draft, error) { return nil, errors.ErrUnsupported }

// willNeed does nothing: macOS has no such advice for files.
func willNeed(*os.File, int64, int64) {}
