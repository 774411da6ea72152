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
)

// resave writes the weights of a copied fixture into one file under other names; "" leaves a weight out.
func resave(t *testing.T, dir string, name func(string) string) {
	t.Helper()
	ckpt, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []safetensors.Tensor
	for _, info := range ckpt.Tensors() {
		if to := name(info.Name); to != "" {
			raw, err := ckpt.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, safetensors.Tensor{Name: to, Dtype: info.Dtype, Shape: info.Shape, Data: append([]byte(nil), raw...)})
		}
	}
	if err := ckpt.Close(); err != nil {
		t.Fatal(err)
	}
	replace(t, dir, all)
}

func removeAll(t *testing.T, dir, pattern string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// roots are the names before a family's weights.
var roots = map[string]string{"gpt2": "transformer.", "neox-parallel": "gpt_neox."}

func rootOf(fixture string) string {
	if r, ok := roots[fixture]; ok {
		return r
	}
	return "model."
}

func TestNamesOfOtherClassesAreFound(t *testing.T) {
	for _, fixture := range []string{"phi-a", "llama-3", "gpt2", "neox-parallel", "qwen2", "gemma3"} {
		root, want := rootOf(fixture), taps(t, filepath.Join("modeltest", "testdata", fixture))
		for what, name := range map[string]func(string) string{
			"without the root": func(n string) string { return strings.TrimPrefix(n, root) },
			"with it twice":    func(n string) string { return root + n },
			"behind peft's":    func(n string) string { return "base_model.model." + n },
			"behind torch's":   func(n string) string { return "_orig_mod." + n },
		} {
			dir := copyModel(t, fixture)
			resave(t, dir, name)
			sameBits(t, fixture+", "+what, taps(t, dir), want)
		}
	}
}

func TestACheckpointInsideAnotherIsFound(t *testing.T) {
	for fixture, outer := range map[string]string{"gemma3": "gemma3", "llama-3": "llava", "mistral": "mistral3", "qwen2": "internvl"} {
		for _, inner := range []func(string) string{
			func(n string) string { return "language_model." + n },
			func(n string) string {
				return strings.Replace(n, "model.", "model.language_model.", 1)
			},
		} {
			dir := copyModel(t, fixture)
			want := taps(t, dir)
			resave(t, dir, inner)
			config, err := json.Marshal(map[string]any{"model_type": outer, "text_config": readConfig(t, fixture), "vision_config": map[string]any{"hidden_size": 3}})
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "config.json"), config)
			addTensor(t, dir, "vision_tower.embeddings.weight")
			sameBits(t, fixture+" in "+outer, taps(t, dir), want)
		}
	}
	dir := copyModel(t, "gemma")
	setConfig(t, dir, "model_type", "paligemma")
	setConfig(t, dir, "text_config", readConfig(t, "gemma"))
	if _, err := model.Load(dir); !errors.Is(err, arch.ErrUnsupported) || !strings.Contains(err.Error(), "paligemma") {
		t.Errorf("a model that sees text otherwise: %v", err)
	}
}

// addTensor puts one more weight into a folder of one file.
func addTensor(t *testing.T, dir, name string) {
	t.Helper()
	ckpt, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []safetensors.Tensor{{Name: name, Dtype: safetensors.F32, Shape: []int64{1}, Data: make([]byte, 4)}}
	for _, info := range ckpt.Tensors() {
		raw, err := ckpt.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, safetensors.Tensor{Name: info.Name, Dtype: info.Dtype, Shape: info.Shape, Data: append([]byte(nil), raw...)})
	}
	if err := ckpt.Close(); err != nil {
		t.Fatal(err)
	}
	replace(t, dir, all)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// taps is all taps of a fixture's prompts, without logits.
func taps(t *testing.T, dir string) (all []float32) {
	t.Helper()
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	emit := func(_ int, v model.View) error { all = append(all, v.Data...); return nil }
	if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{{1, 5, 9, 2}, {2}}, Taps: everyTap(t, m), Emit: emit}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWithoutAHeadThereAreTapsAndNoLogits(t *testing.T) {
	for fixture, head := range map[string]string{"phi-a": "lm_head", "phi-msft": "lm_head.linear", "llama-3": "lm_head", "neox-parallel": "embed_out", "qwen2": "lm_head"} {
		want := taps(t, filepath.Join("modeltest", "testdata", fixture))
		dir := copyModel(t, fixture)
		setConfig(t, dir, "tie_word_embeddings", false)
		resave(t, dir, func(n string) string {
			if strings.HasPrefix(n, head+".") {
				return ""
			}
			return n
		})
		sameBits(t, fixture, taps(t, dir), want)
		m, err := model.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{{1}}, Logits: true}); !errors.Is(err, model.ErrNoHead) || !m.Info().NoHead {
			t.Errorf("%s: logits: %v", fixture, err)
		}
	}
}

func TestNamesThatMayMeanTwoThingsAreRefused(t *testing.T) {
	for says, names := range map[string][]string{
		"look like the embedding": {"a.embed_tokens.weight", "b.embed_tokens.weight"},
		"both stand for":          {"x.model.embed_tokens.weight", "x.lm_head.weight", "lm_head.weight"},
	} {
		if _, err := arch.Names("llama", names, false); !errors.Is(err, layer.ErrMismatch) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", names, err)
		}
	}
	if _, err := arch.Names("llama", []string{"model.layers.0.self_attn.q_proj.lora_A.weight"}, false); !errors.Is(err, arch.ErrUnsupported) || !strings.Contains(err.Error(), "merge") {
		t.Errorf("an adapter's weights: %v", err)
	}
}

func TestAnAdapterIsNeverIgnored(t *testing.T) {
	config := []byte(`{"peft_type": "LORA", "base_model_name_or_path": "acme/base-7b"}`)
	beside, alone := copyModel(t, "phi-b"), t.TempDir()
	for _, dir := range []string{beside, alone} {
		write(t, filepath.Join(dir, "adapter_config.json"), config)
		_, err := model.Load(dir)
		_, tokErr := model.LoadTokenizer(dir)
		for _, err := range []error{err, tokErr} {
			if !errors.Is(err, model.ErrAdapter) || !strings.Contains(err.Error(), "acme/base-7b") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
}
