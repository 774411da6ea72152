package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"actfleet/internal/smallfile"
)

// ErrAdapter says that a directory holds an adapter, which is not applied.
var ErrAdapter = errors.New("an adapter is not applied")

// refuseAdapter fails with ErrAdapter where adapter_config.json lies: transformers would apply that adapter, so the
// base model alone would be another model. Adapters have directories of their own (Adapt).
func refuseAdapter(dir string) error {
	text, err := smallfile.Read(filepath.Join(dir, "adapter_config.json"), maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var a struct {
		Kind string `json:"peft_type"`
		Base string `json:"base_model_name_or_path"`
	}
	_ = json.Unmarshal(text, &a) // what cannot be read is not named
	what := cmp.Or(a.Kind, "PEFT")
	if a.Base != "" {
		what += " of " + a.Base
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		return fmt.Errorf("%w: %s holds an adapter (%.200s) and no model: give its base as --model, and this directory to collect "+
			"as --adapter NAME=DIR", ErrAdapter, dir, what)
	}
	return fmt.Errorf("%w: %s holds adapter_config.json (%.200s) beside a model: move the adapter's files into a directory of their own, "+
		"and give it to collect as --adapter NAME=DIR", ErrAdapter, dir, what)
}
