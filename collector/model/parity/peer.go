package parity

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"actfleet/collector/model"
	"actfleet/shard/tap"
)

// ErrPeer says that the reference could not be computed.
var ErrPeer = errors.New("transformers did not compute the reference")

//go:embed huggingface.py
var script []byte

// maxSaid bounds what is kept of the peer's messages.
const maxSaid = 64 << 10

// Peer says what computed the reference.
type Peer struct {
	Class        string `json:"class"` // of transformers
	Transformers string `json:"transformers"`
	Torch        string `json:"torch"`
}

// ask is what the script reads.
type ask struct {
	Model   string    `json:"model"`  // a directory
	GGUF    string    `json:"gguf"`   // a file in it, or ""
	Double  bool      `json:"double"` // compute in 64 bits
	Prompts [][]int32 `json:"prompts"`
	// Places are where each tap is, by column name.
	Places map[string][]tap.Place `json:"places"`
	// Threads of its own; 0: as it likes.
	Threads int `json:"threads"`
	// Continue is how many tokens are added to each prompt; nil: none.
	Continue []int `json:"continue"`
	// Add is a vector for each module that is added to what it gives while prompts are continued.
	Add map[string][]float32 `json:"add"`
}

// Interpreter finds the Python of a virtual environment, which may be given by its directory.
func Interpreter(venv string) (string, error) {
	stat, err := os.Stat(venv)
	if err == nil && stat.IsDir() {
		venv = filepath.Join(venv, "bin", "python")
	}
	path, err := exec.LookPath(venv)
	if err != nil {
		return "", fmt.Errorf("%w: %s is no Python and no virtual environment: %w", ErrPeer, venv, err)
	}
	return filepath.Abs(path)
}

// placesOf are the places of taps in the peer's model. Microsoft's Phi is loaded into Hugging Face's.
func placesOf(m *model.Model, taps []tap.Tap) map[string][]tap.Place {
	info, modules := m.Info(), m.Modules()
	if info.Arch == "phi-msft" || info.Arch == "mixformer-sequential" {
		modules, _ = tap.ModulesOf("phi")
	}
	out := map[string][]tap.Place{}
	for _, t := range taps {
		p := modules.Places(t)
		if t.Site == tap.Resid && t.Layer == info.Layers-1 {
			p = p[:1] // no block reads it
		}
		out[t.Column("")] = p
	}
	return out
}

// reference has the peer run what a asks for on a checkpoint; its files are then in dir.
func reference(ctx context.Context, python, checkpoint string, a ask, dir string) (p Peer, err error) {
	if checkpoint, err = model.Resolve(checkpoint); err != nil {
		return p, err
	}
	if a.Model, err = filepath.Abs(checkpoint); err != nil {
		return p, err
	}
	if strings.EqualFold(filepath.Ext(a.Model), ".gguf") {
		a.Model, a.GGUF = filepath.Split(a.Model)
	}
	text, err := json.Marshal(a)
	if err != nil {
		return p, err
	}
	for name, data := range map[string][]byte{"ask.json": text, "huggingface.py": script} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return p, err
		}
	}
	if err := run(ctx, python, dir); err != nil {
		return p, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, "peer.json")); err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// run is the script to its end; its last line says what went wrong.
func run(ctx context.Context, python, dir string) error {
	cmd := exec.CommandContext(ctx, python, filepath.Join(dir, "huggingface.py"), filepath.Join(dir, "ask.json"), dir)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1")
	var said tail
	cmd.Stderr = &said
	err := cmd.Run()
	switch last := said.lastLine(); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.HasPrefix(last, "missing: "):
		return fmt.Errorf("%w: %s has no %s; run %s -m pip install torch transformers safetensors gguf",
			ErrPeer, python, strings.TrimPrefix(last, "missing: "), python)
	case last == "":
		return fmt.Errorf("%w: %s: %w (killed most often means out of memory)", ErrPeer, python, err)
	default:
		return fmt.Errorf("%w: %s: %w: %s", ErrPeer, python, err, last)
	}
}

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if len(*t) > maxSaid {
		*t = append((*t)[:0], (*t)[len(*t)-maxSaid:]...)
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(*t)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
