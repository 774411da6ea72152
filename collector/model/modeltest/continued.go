package modeltest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Continued is how another implementation goes on with the prompts of a reference: a continued.json beside it.
type Continued struct {
	MadeBy string    `json:"made_by"`
	Tokens [][]int32 `json:"tokens"` // the likeliest token each time, of each prompt
}

// ReadContinued reads the continuations in the directory of a checkpoint.
func ReadContinued(dir string) (c Continued, err error) {
	path := filepath.Join(dir, "continued.json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return c, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// Write puts the continuations into the directory of a checkpoint.
func (c Continued) Write(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "continued.json"), append(text, '\n'), 0o644)
}
