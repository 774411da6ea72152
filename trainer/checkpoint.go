package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/trainer/state"
	"actfleet/trainer/stream"
)

// progress is the part of a training's state that is not the learner's.
type progress struct {
	Step    int           `json:"step"`
	Rows    int64         `json:"rows"`
	Seconds float64       `json:"seconds"`
	Starved float64       `json:"starved_seconds"`
	Dropped int64         `json:"dropped"` // rows left out because a value was not finite
	Loud    int64         `json:"loud"`    // rows left out because of max_norm
	Cursor  stream.Cursor `json:"cursor"`
	SHA256  string        `json:"state_sha256"` // of state.safetensors
}

// The files of a checkpoint.
const (
	stateFile    = "state.safetensors"
	progressFile = "progress.json"
	tempPrefix   = ".tmp-"
)

func ckptName(step int) string { return fmt.Sprintf("step-%08d", step) }

// saveCheckpoint writes checkpoints/step-N of a coder's folder. It appears complete
// or not at all; older ones are removed but for keep in all.
func saveCheckpoint(dir string, p progress, s *state.Set, keep int) error {
	root := filepath.Join(dir, CkptDir)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	temp := filepath.Join(root, tempPrefix+ckptName(p.Step))
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o755)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := fillCheckpoint(temp, p, s); err != nil {
		return fmt.Errorf("checkpoint step %d: %w", p.Step, errors.Join(err, os.RemoveAll(temp)))
	}
	final := filepath.Join(root, ckptName(p.Step))
	if err := errors.Join(os.RemoveAll(final), os.Rename(temp, final)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return errors.Join(syncDir(root), prune(root, keep))
}

func fillCheckpoint(dir string, p progress, s *state.Set) error {
	if err := s.Save(filepath.Join(dir, stateFile), nil); err != nil {
		return err
	}
	sum, err := hashFile(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	p.SHA256 = sum
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, progressFile), append(text, '\n'))
}

// checkpoints lists the complete checkpoints, the newest first.
func checkpoints(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "step-") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// prune removes what is older than the kept checkpoints, and what an interrupted
// write left.
func prune(root string, keep int) error {
	names, err := checkpoints(root)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names[min(keep, len(names)):] {
		errs = append(errs, os.RemoveAll(filepath.Join(root, n)))
	}
	left, err := filepath.Glob(filepath.Join(root, tempPrefix+"*"))
	errs = append(errs, err)
	for _, path := range left {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// ErrDamaged says that a checkpoint is not what was written.
var ErrDamaged = errors.New("the checkpoint is damaged")

// loadCheckpoint fills s from the newest checkpoint of a coder's folder, or from the
// one before it when the newest is damaged. Without any, ok is false.
func loadCheckpoint(dir string, s *state.Set) (p progress, ok bool, err error) {
	root := filepath.Join(dir, CkptDir)
	names, err := checkpoints(root)
	if err != nil {
		return p, false, err
	}
	var errs []error
	for _, n := range names {
		p, err := readCheckpoint(filepath.Join(root, n), s)
		if err == nil {
			return p, true, nil
		}
		errs = append(errs, err)
	}
	return p, false, errors.Join(errs...)
}

func readCheckpoint(dir string, s *state.Set) (p progress, err error) {
	text, err := os.ReadFile(filepath.Join(dir, progressFile))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s: %w: %v", dir, ErrDamaged, err)
	}
	path := filepath.Join(dir, stateFile)
	sum, err := hashFile(path)
	if err != nil {
		return p, err
	}
	if sum != p.SHA256 {
		return p, fmt.Errorf("%s: %w: the hash of %s differs", dir, ErrDamaged, stateFile)
	}
	return p, s.Load(path)
}
