package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/internal/smallfile"
)

// The file names of a checkpoint folder.
const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
)

// ErrTwo says that a folder holds two checkpoints, and nothing says which is meant.
var ErrTwo = errors.New("two checkpoints in one folder")

// Checkpoint is a folder's weights: one file or all its shards as one set of
// tensors. It is safe for concurrent use, except Close.
type Checkpoint struct {
	dir     string
	files   []*File
	owner   map[string]*File
	tensors []Info
}

// OpenDir opens every shard that model.safetensors.index.json names, or else
// model.safetensors. A missing shard, a tensor the index promises and its shard
// lacks, a tensor in two shards, and a model.safetensors that the index beside it
// does not name (ErrTwo) are errors; other files that it does not name are Strays.
func OpenDir(dir string) (*Checkpoint, error) {
	names, weights, err := shardNames(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{dir: dir, owner: map[string]*File{}}
	for _, name := range names {
		if err := c.add(name); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for _, t := range slices.Sorted(maps.Keys(weights)) {
		if f := c.owner[t]; f == nil || filepath.Base(f.path) != weights[t] {
			err := fmt.Errorf("%s: %w: the index puts tensor %s into %s, which does not hold it",
				dir, ErrCorrupt, quote(t), weights[t])
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// shardNames lists the files of a checkpoint in name order and, for a sharded
// one, which tensor the index puts where.
func shardNames(dir string) (names []string, weights map[string]string, err error) {
	_, err = os.Stat(filepath.Join(dir, singleName))
	single := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	weights, err = readIndex(filepath.Join(dir, indexName))
	switch {
	case errors.Is(err, fs.ErrNotExist) && single:
		return []string{singleName}, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, missing(dir)
	case err != nil:
		return nil, nil, err
	}
	names = slices.Sorted(maps.Values(weights))
	names = slices.Compact(names)
	if single && !slices.Contains(names, singleName) {
		return nil, nil, fmt.Errorf("%s: %w: %s, and %s, which names %s: delete (or move away) the one that is not the model",
			dir, ErrTwo, singleName, indexName, names[0])
	}
	return names, weights, nil
}

// missing says what the folder lacks, and what to do when it holds weights of
// another kind.
func missing(dir string) error {
	hint := ""
	if others, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); len(others) > 0 {
		hint = fmt.Sprintf("; it holds %s: shards need their index, a single file the name %s", filepath.Base(others[0]), singleName)
	}
	if other, _ := filepath.Glob(filepath.Join(dir, "pytorch_model*.bin*")); len(other) > 0 {
		hint = "; it holds pytorch_model files: save the model again with safe_serialization"
	}
	return fmt.Errorf("%s: neither %s nor %s%s: %w", dir, singleName, indexName, hint, fs.ErrNotExist)
}

// readIndex reads the weight map of an index file and checks the file names.
func readIndex(path string) (map[string]string, error) {
	text, err := smallfile.Read(path, maxHeader)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("%s: %w: %v", path, ErrCorrupt, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("%s: %w: no weight_map", path, ErrCorrupt)
	}
	for t, name := range index.WeightMap {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			return nil, fmt.Errorf("%s: %w: tensor %s: file name %s leads out of the folder",
				path, ErrCorrupt, quote(t), quote(name))
		}
	}
	return index.WeightMap, nil
}

// add opens one file of the folder and takes over its tensors.
func (c *Checkpoint) add(name string) error {
	f, err := Open(filepath.Join(c.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: shard %s is missing: %w", c.dir, name, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	c.files = append(c.files, f)
	for _, t := range f.Tensors() {
		if other := c.owner[t.Name]; other != nil {
			return fmt.Errorf("%s: %w: tensor %s is in %s too", f.path, ErrCorrupt, quote(t.Name), filepath.Base(other.path))
		}
		c.owner[t.Name] = f
	}
	c.tensors = append(c.tensors, f.Tensors()...)
	return nil
}

// Tensors lists the tensors of all files, file by file in name order, in the
// order of their data. The caller must not change what it gets.
func (c *Checkpoint) Tensors() []Info { return c.tensors }

// Strays lists the safetensors files of the folder that the checkpoint does not consist of.
func (c *Checkpoint) Strays() []string {
	paths, _ := filepath.Glob(filepath.Join(c.dir, "*.safetensors")) // fails for a malformed pattern only
	var out []string
	for _, path := range paths {
		name := filepath.Base(path)
		if !slices.ContainsFunc(c.files, func(f *File) bool { return filepath.Base(f.path) == name }) {
			out = append(out, name)
		}
	}
	return out
}

// Info describes a tensor; ok is false when the checkpoint has none of that name.
func (c *Checkpoint) Info(name string) (info Info, ok bool) {
	f := c.owner[name]
	if f == nil {
		return Info{}, false
	}
	return f.Info(name)
}

// Bytes is the data of a tensor as File.Bytes gives it.
func (c *Checkpoint) Bytes(name string) ([]byte, error) {
	f := c.owner[name]
	if f == nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", c.dir, quote(name), ErrNoTensor)
	}
	return f.Bytes(name)
}

// Float32s is a tensor of F16, BF16, F32 or F64 as a new float32 slice.
func (c *Checkpoint) Float32s(name string) ([]float32, error) {
	f := c.owner[name]
	if f == nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", c.dir, quote(name), ErrNoTensor)
	}
	return f.Float32s(name)
}

// Digest is the hex SHA-256 of the content, equal for the same tensors in one
// file or in many. It reads every file each time.
func (c *Checkpoint) Digest() (string, error) { return digest(c.tensors, c.Bytes) }

// Close closes every file. Closing again does nothing.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
