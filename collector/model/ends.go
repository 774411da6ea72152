package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"actfleet/collector/model/arch"
	"actfleet/collector/model/gguf/checkpoint"
	"actfleet/internal/smallfile"
)

// LoadEnds reads after which tokens a checkpoint's texts are at their end: eos_token_id of its generation_config.json, else
// of its config.json; of a .gguf file the tokens that end a text or a turn. None is no error: such texts end at a length.
func LoadEnds(dir string) ([]int32, error) {
	dir, err := Resolve(dir)
	if err != nil {
		return nil, err
	}
	if isGGUF(dir) {
		c, err := checkpoint.Open(dir)
		if err != nil {
			return nil, err
		}
		defer c.Close() // read only
		return c.Ends(), nil
	}
	for _, name := range []string{"generation_config.json", "config.json"} {
		text, err := smallfile.Read(filepath.Join(dir, name), maxConfigBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ids, err := endsOf(text); err != nil || ids != nil {
			return ids, inFile(filepath.Join(dir, name), err)
		}
	}
	return nil, nil
}

func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// endsOf reads eos_token_id, a number or a list of numbers; nil where there is none.
func endsOf(config []byte) (ids []int32, err error) {
	raw, err := arch.Key(config, "eos_token_id")
	if err != nil || len(raw) == 0 || string(raw) == "null" {
		return nil, err
	}
	if !bytes.HasPrefix(raw, []byte("[")) {
		raw = fmt.Appendf(nil, "[%s]", raw)
	}
	var all []int64
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("eos_token_id is no token id and no list of them: %.100s", raw)
	}
	for _, id := range all {
		if id < 0 || id > math.MaxInt32 {
			return nil, fmt.Errorf("eos_token_id: %d is no token id", id)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
