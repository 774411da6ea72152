package main

import (
	"os"
	"strings"

	"actfleet/shard/store/s3"
)

// pathList is a flag that lists paths and may be given several times.
type pathList []string

// Set adds what splitPaths finds.
func (p *pathList) Set(list string) error {
	*p = append(*p, splitPaths(list)...)
	return nil
}

// String shows the list in a help text.
func (p *pathList) String() string { return strings.Join(*p, ",") }

// Type names the flag's values in a help text.
func (p *pathList) Type() string { return "paths" }

// splitPaths reads paths that are parted by commas. A path that exists is taken whole, the longest first, whatever
// commas it has.
func splitPaths(list string) (paths []string) {
	parts := strings.Split(list, ",")
	for len(parts) > 0 {
		n := len(parts)
		for n > 1 && !exists(strings.Join(parts[:n], ",")) {
			n--
		}
		paths, parts = append(paths, strings.Join(parts[:n], ",")), parts[n:]
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil && !strings.HasPrefix(path, s3.Scheme)
}
