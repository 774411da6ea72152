package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/internal/smallfile"
)

// settings is a JSON object of a foreign file. Whoever understands a key takes it; rest refuses those that are left.
// The first value of a wrong kind is kept until then.
type settings struct {
	name string
	keys map[string]json.RawMessage
	err  error
}

// maxJSON bounds a configuration.
const maxJSON = 4 << 20

// loadSettings reads a file that holds one object. Keys that are null are as if they were not there.
func loadSettings(path string) (*settings, error) {
	text, err := readSmall(path, maxJSON)
	if err != nil {
		return nil, err
	}
	return parseSettings(filepath.Base(path), text)
}

func parseSettings(name string, text []byte) (*settings, error) {
	s := &settings{name: name}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&s.keys); err != nil || s.keys == nil {
		return nil, fmt.Errorf("%w: %s is not one JSON object: it begins with %.40q", ErrFormat, name, text)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: %s goes on behind its JSON object", ErrFormat, name)
	}
	maps.DeleteFunc(s.keys, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	return s, nil
}

// readSmall reads a regular file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	text, err := smallfile.Read(path, limit)
	if errors.Is(err, smallfile.ErrNotRegular) || errors.Is(err, smallfile.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return text, err
}

func (s *settings) has(key string) bool { _, ok := s.keys[key]; return ok }

// take decodes the value of a key, which is there no longer, and tells whether it was there.
func (s *settings) take(key, kind string, into any) bool {
	raw, ok := s.keys[key]
	delete(s.keys, key)
	if !ok {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		s.refuse(key, raw, "is not "+kind)
	}
	return true
}

func (s *settings) refuse(key string, raw json.RawMessage, why string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s: %s: %.60s %s", ErrFormat, s.name, key, raw, why)
	}
}

func (s *settings) text(key string) (v string) {
	s.take(key, "a text", &v)
	return v
}

// flag is a true or false, otherwise where the key is not there.
func (s *settings) flag(key string, otherwise bool) bool {
	s.take(key, "true or false", &otherwise)
	return otherwise
}

// number is a number, 0 where the key is not there.
func (s *settings) number(key string) (v float64) {
	raw := s.keys[key]
	s.take(key, "a number", &v)
	if math.IsInf(v, 0) {
		s.refuse(key, raw, "is not a number")
	}
	return v
}

// whole is a number without a fraction, however it is written, 0 where the key is not there.
func (s *settings) whole(key string) int {
	raw, v := s.keys[key], s.number(key)
	if v != math.Trunc(v) || math.Abs(v) > 1<<40 {
		s.refuse(key, raw, "is not a whole number that is in use here")
		return 0
	}
	return int(v)
}

// object is an object below a key, empty where the key is not there.
func (s *settings) object(key string) *settings {
	out := &settings{name: s.name + ": " + key}
	s.take(key, "an object", &out.keys)
	maps.DeleteFunc(out.keys, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	return out
}

// skip drops keys that are known to change nothing of the function.
func (s *settings) skip(keys ...string) {
	for _, k := range keys {
		delete(s.keys, k)
	}
}

// rest is the first error met, or names keys that nobody took.
func (s *settings) rest() error {
	if s.err != nil || len(s.keys) == 0 {
		return s.err
	}
	left := slices.Sorted(maps.Keys(s.keys))
	return fmt.Errorf("%w: %s: it is not known what the keys %.400s mean, and they may change the function; "+
		"take them out if they do not", ErrFormat, s.name, strings.Join(left, ", "))
}

// agree refuses a size that the settings state otherwise than the weights have it; 0 states none.
func (s *settings) agree(key string, stated, have int) {
	if s.err == nil && stated != 0 && stated != have {
		s.err = fmt.Errorf("%w: %s: %s is %d, the weights have %d", ErrFormat, s.name, key, stated, have)
	}
}

// saveJSON writes a configuration.
func saveJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
