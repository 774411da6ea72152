package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/hub"
	"actfleet/collector/model/quant"
	"actfleet/internal/safetensors"
	"actfleet/internal/smallfile"
)

// maxConfigBytes bounds config.json before it is read; real ones have a few kilobytes.
const maxConfigBytes = 1 << 20

// opened is what a directory or a .gguf file holds.
type opened struct {
	dir     string  // where Resolve found it
	file    []byte  // config.json as it lies there
	text    []byte  // config.json of the language model: file, or a part of it
	weights weights // under the names the language model asks for
	digest  func() (string, error)
	notes   []string
}

// open opens the checkpoint that Resolve finds; its weights are to be closed.
func open(dir string) (*opened, error) {
	at, err := Resolve(dir)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	c := &opened{dir: at}
	if isGGUF(at) {
		c.file, c.weights, err = openGGUF(at)
		if err != nil {
			return nil, err
		}
		c.text, c.digest = c.file, c.weights.Digest
		return c, nil
	}
	if err := c.openDir(); err != nil {
		return nil, fmt.Errorf("load model %s: %w", dir, err)
	}
	return c, nil
}

func (c *opened) openDir() (err error) {
	if c.file, err = readConfig(filepath.Join(c.dir, "config.json")); err != nil {
		return err
	}
	var inside bool
	if c.text, inside, err = arch.Text(c.file); err != nil {
		return err
	}
	files, err := safetensors.OpenDir(c.dir)
	if err != nil {
		return err
	}
	c.digest = files.Digest
	for _, name := range files.Strays() {
		c.notes = append(c.notes, fmt.Sprintf("%s is not read: the index does not list it", filepath.Join(c.dir, name)))
	}
	if err := c.view(files, inside); err != nil {
		return errors.Join(err, files.Close())
	}
	return nil
}

// view makes of the files' tensors what the language model asks for.
func (c *opened) view(files weights, inside bool) error {
	kind, err := arch.ModelType(c.text)
	if err != nil {
		return err
	}
	if files, err = c.dequantise(files, kind); err != nil {
		return err
	}
	c.weights, err = rename(files, kind, inside)
	return err
}

// plain are the weights that a quantised checkpoint stands for.
type plain struct {
	*quant.Checkpoint
	weights // what it is read from
}

func (p plain) Tensors() []safetensors.Info       { return p.Checkpoint.Tensors() }
func (p plain) Bytes(name string) ([]byte, error) { return p.Checkpoint.Bytes(name) }

// dequantise shows quantised weights as plain ones, and takes their configuration out of the text. One that is not read
// stays there, so that it is refused with the other keys.
func (c *opened) dequantise(files weights, kind string) (weights, error) {
	config, err := arch.Key(c.text, "quantization_config")
	if err != nil {
		return nil, err
	}
	method, known := quant.Method(config)
	switch {
	case !known:
		return files, nil
	case kind == "gpt2" && method != "fp8":
		return nil, fmt.Errorf("%w: quantization_config: %s of a gpt2, whose matrices lie the other way round", quant.ErrUnsupported, method)
	}
	q, err := quant.Open(config, files)
	if err != nil {
		return nil, err
	}
	c.notes = append(c.notes, fmt.Sprintf("%s: the weights are quantised (%s); they are computed with as the floats they stand for", c.dir, method))
	c.text, err = arch.Without(c.text, "quantization_config")
	return plain{q, files}, err
}

func readConfig(path string) ([]byte, error) {
	text, err := smallfile.Read(path, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no config.json there; --model wants a directory with config.json, tokenizer.json and *.safetensors: %w", err)
	}
	return text, err
}

// Type is the model_type of the checkpoint at dir, of its language model where it has several; no weight is read.
func Type(dir string) (string, error) {
	c, err := open(dir)
	if err != nil {
		return "", err
	}
	defer c.weights.Close()
	kind, err := arch.ModelType(c.text)
	if err != nil {
		return "", fmt.Errorf("load model %s: %w", c.dir, err)
	}
	return kind, nil
}

func (c *opened) identify() (Info, error) {
	kind, err := arch.ModelType(c.text)
	if err != nil {
		return Info{}, fmt.Errorf("load model %s: %w", c.dir, err)
	}
	name, err := nameOf(c.dir)
	if err != nil {
		return Info{}, err
	}
	weights, err := c.digest()
	if err != nil {
		return Info{}, fmt.Errorf("hash model %s: %w", c.dir, err)
	}
	sum := sha256.Sum256(append(append([]byte{}, c.file...), weights...))
	return Info{Name: name, Arch: kind, Digest: hex.EncodeToString(sum[:]), Notes: c.notes}, nil
}

// renamed is a checkpoint whose tensors have other names.
type renamed struct {
	weights
	from    map[string]string // the new name to the file's
	tensors []safetensors.Info
}

// rename gives the weights the names that a model type asks for; see arch.Names.
func rename(w weights, kind string, inside bool) (weights, error) {
	var all []string
	for _, t := range w.Tensors() {
		all = append(all, t.Name)
	}
	names, err := arch.Names(kind, all, inside)
	if err != nil {
		return nil, err
	}
	r := &renamed{weights: w, from: make(map[string]string, len(names))}
	for _, t := range w.Tensors() {
		to, ok := names[t.Name]
		if !ok {
			continue
		}
		r.from[to] = t.Name
		t.Name = to
		r.tensors = append(r.tensors, t)
	}
	return r, nil
}

// Tensors lists the tensors under their new names.
func (r *renamed) Tensors() []safetensors.Info { return r.tensors }

// Bytes is the data of a tensor by its new name.
func (r *renamed) Bytes(name string) ([]byte, error) {
	if from, ok := r.from[name]; ok {
		name = from
	}
	return r.weights.Bytes(name)
}

// nameOf is the last element of a checkpoint's directory; of a snapshot in a hub cache, whose directory
// is a hash, it is the model's name.
func nameOf(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if name := hub.Name(abs); name != "" {
		return name, nil
	}
	return filepath.Base(abs), nil
}
