package coder

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"actfleet/shard/tap"
)

// List lists the coders' folders in dir by layer and site: dir itself if it is one, else those directly below it.
func List(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, CfgFile)); err == nil {
		return []string{dir}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list coders: %w", err)
	}
	var found []string
	for _, e := range entries {
		below := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(below, CfgFile)); err == nil {
			found = append(found, below)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no coder in %s: there is no %s in it, nor one level below", dir, CfgFile)
	}
	slices.SortStableFunc(found, byTap)
	return found, nil
}

// byTap orders folders that are named after columns.
func byTap(a, b string) int {
	s, _, _ := tap.ParseColumn(filepath.Base(a))
	t, _, _ := tap.ParseColumn(filepath.Base(b))
	return cmp.Or(cmp.Compare(s.Layer, t.Layer), s.Site.Compare(t.Site), cmp.Compare(a, b))
}
