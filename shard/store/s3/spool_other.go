//go:build !linux

package s3

import "os"

func openSpool(dir string) (*os.File, error) { return unlinkedSpool(dir) }
