//go:build !linux

package local

import "errors"

// anonymousFiles reports false: only Linux can link a file that has no name.
func anonymousFiles(string) bool { return false }

func beginAnonymous(string) (draft, error) { return nil, errors.ErrUnsupported }
