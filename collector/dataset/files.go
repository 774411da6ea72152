package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tables are the ends of names of files that hold rows; what a file is, its content says.
var tables = []string{".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".ipc"}

// packed are the ends that compressed files have behind.
var packed = []string{".gz", ".gzip", ".zst", ".zstd", ".br", ".bz2"}

// notRows are files that lie beside the rows in a folder that the datasets library saved.
var notRows = []string{"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}

// hubName is how data sets and models are called on the hub.
var hubName = regexp.MustCompile(`^[\w.-]+/[\w.-]+$`)

// expand lists the files that paths name, in the order of the paths: a file, a folder (its files, by name) or a
// pattern with * ? [ ] (what matches, by name). A path may also be a list with commas.
func expand(paths []string) (files []string, err error) {
	for _, path := range paths {
		more, err := expandOne(path)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(path, ",") {
			more, err = expand(strings.Split(path, ","))
		}
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	for i, f := range files {
		if slices.Contains(files[:i], f) {
			return nil, fmt.Errorf("%w: %s is named twice", ErrOption, f)
		}
	}
	return files, nil
}

func expandOne(path string) ([]string, error) {
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return folder(path)
	case err == nil && !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w: not a regular file; rows are read more than once, so save them as a file first", path, ErrFormat)
	case err == nil:
		return []string{path}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if strings.ContainsAny(path, "*?[") {
		return pattern(path)
	}
	if hubName.MatchString(path) {
		return nil, fmt.Errorf("%s: %w: not a file here; if it is a data set of the hub, download it "+
			"(hf download --repo-type dataset %s --local-dir DIR) and give DIR", path, fs.ErrNotExist, path)
	}
	return nil, fmt.Errorf("%s: %w: give a file, a folder or a pattern such as 'data/*.parquet'", path, fs.ErrNotExist)
}

func pattern(path string) ([]string, error) {
	found, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("%w: pattern %s: %w", ErrOption, path, err)
	}
	var files []string
	for _, f := range found {
		if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w: no file matches", path, fs.ErrNotExist)
	}
	return files, nil
}

// folder lists a folder's files of rows; they must be of one kind. A folder that holds only one other folder stands
// for that.
func folder(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	kinds := map[string][]string{}
	var below []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			continue
		}
		path := filepath.Join(dir, name)
		st, err := os.Stat(path)
		switch kind := tableKind(name); {
		case err != nil:
			return nil, err
		case st.IsDir():
			below = append(below, path)
		case kind != "":
			kinds[kind] = append(kinds[kind], path)
		}
	}
	return chooseKind(dir, kinds, below)
}

func chooseKind(dir string, kinds map[string][]string, below []string) ([]string, error) {
	switch {
	case len(kinds) > 1:
		var said []string
		for _, kind := range tables {
			if n := len(kinds[kind]); n > 0 {
				said = append(said, fmt.Sprintf("%d %s", n, kind))
			}
		}
		return nil, fmt.Errorf("%s: %w: the folder holds files of several kinds (%s); give one, such as '%s'",
			dir, ErrFormat, strings.Join(said, ", "), filepath.Join(dir, "*"+tables[0]))
	case len(kinds) == 1:
		for _, files := range kinds {
			return files, nil // ReadDir has them by name
		}
	case len(below) == 1:
		return folder(below[0])
	case len(below) > 1:
		return nil, fmt.Errorf("%s: %w: no files of rows in the folder itself; give one of its folders (%s)", dir, ErrFormat, strings.Join(below, ", "))
	}
	return nil, fmt.Errorf("%s: %w: no files of rows in the folder (%s, also compressed)", dir, ErrFormat, strings.Join(tables, " "))
}

// tableKind is the end that a file of rows has, without that of its compression; "" for any other file.
func tableKind(name string) string {
	name = strings.ToLower(name)
	if slices.Contains(notRows, name) || strings.HasPrefix(name, "cache-") && strings.HasSuffix(name, ".arrow") {
		return ""
	}
	for _, end := range packed {
		name = strings.TrimSuffix(name, end)
	}
	if end := filepath.Ext(name); slices.Contains(tables, end) {
		return end
	}
	return ""
}
