package model_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

// copyModel copies a fixture so that a test may spoil it.
func copyModel(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("modeltest", "testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// linkModel is a fixture of which a test may change config.json alone: the other files are links to it.
func linkModel(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	from, err := filepath.Abs(filepath.Join("modeltest", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(from)
	for _, f := range files {
		if err == nil && f.Name() != "config.json" && f.Name() != "ref.safetensors" {
			err = os.Symlink(filepath.Join(from, f.Name()), filepath.Join(dir, f.Name()))
		}
	}
	config, readErr := os.ReadFile(filepath.Join(from, "config.json"))
	if err = errors.Join(err, readErr, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// absent is the value by which setConfig removes a key.
const absent = "(absent)"

func setConfig(t *testing.T, dir, key string, value any) {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if config[key] = value; value == absent {
		delete(config, key)
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each config that the weights or the code contradict is refused in one line that names the key or weight.
func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  error
		says  string
	}{
		{"model_type", "mamba", arch.ErrUnsupported, `model_type "mamba"`},
		{"hidden_size", 54, layer.ErrMismatch, "model.embed_tokens.weight"},
		{"hidden_size", 50, arch.ErrUnsupported, "num_attention_heads"},
		{"intermediate_size", 100, layer.ErrMismatch, "mlp.fc1.weight"},
		{"num_hidden_layers", 4, layer.ErrMismatch, "model.layers.3."},
		{"num_hidden_layers", 2, layer.ErrMismatch, "no layer uses"},
		{"num_key_value_heads", 3, layer.ErrMismatch, "k_proj"},
		{"num_key_value_heads", 4, arch.ErrUnsupported, "num_key_value_heads"},
		{"vocab_size", -1, arch.ErrUnsupported, "vocab_size"},
		{"qk_layernorm", true, layer.ErrMismatch, "q_layernorm"},
		{"hidden_act", "swoosh", arch.ErrUnsupported, "swoosh"},
		{"rope_scaling", map[string]any{"type": "dynamic", "factor": 0.5}, arch.ErrUnsupported, "dynamic"},
		{"quantization_config", map[string]any{"bits": 4}, arch.ErrUnsupported, "quantization_config"},
	} {
		t.Run(c.key, func(t *testing.T) {
			dir := copyModel(t, "phi-a")
			setConfig(t, dir, c.key, c.value)
			_, err := model.Load(dir)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line of %q that names %q", err, c.want, c.says)
			}
		})
	}
}

func TestLoadRefusesOddRotary(t *testing.T) {
	dir := copyModel(t, "phi-a")
	setConfig(t, dir, "rope_parameters", map[string]any{"rope_theta": 10000.0, "partial_rotary_factor": 0.9, "rope_type": "default"})
	if _, err := model.Load(dir); !errors.Is(err, arch.ErrUnsupported) || !strings.Contains(err.Error(), "partial_rotary_factor") {
		t.Errorf("error %v", err)
	}
}

func TestLoadTruncated(t *testing.T) {
	dir := copyModel(t, "phi-a")
	path := filepath.Join(dir, "model.safetensors")
	if err := os.Truncate(path, 20_000); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(dir); !errors.Is(err, safetensors.ErrCorrupt) || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("error %v", err)
	}
}

func TestLoadNothingThere(t *testing.T) {
	if _, err := model.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("error %v", err)
	}
}

func TestForwardRefuses(t *testing.T) {
	m, _ := load(t, "phi-a")
	info := m.Info()
	for says, r := range map[string]model.Request{
		"is empty":               {IDs: [][]int32{{}}},
		"outside the vocabulary": {IDs: [][]int32{{int32(info.Vocab)}}},
		"positions":              {IDs: [][]int32{make([]int32, info.MaxPositions+1)}},
		"has layers 0..":         {IDs: [][]int32{{1}}, Taps: []tap.Tap{{Site: tap.FC1, Layer: info.Layers}}},
		"probability of token":   {IDs: [][]int32{{1}}, Next: &model.Next{Sets: [][]int32{{1}, {int32(info.Vocab)}}}},
		"likeliest tokens":       {IDs: [][]int32{{1}}, Next: &model.Next{Top: info.Vocab + 1}},
	} {
		if _, err := m.Forward(t.Context(), r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}
