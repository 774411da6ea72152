package adapter

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/array"
	"actfleet/internal/pickle"
)

const fixture = "testdata/llama-3-lora"

// copyOf is a fixture's folder with some keys of its config changed; nil removes one.
func copyOf(t *testing.T, dir string, keys map[string]any) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{configName, weightsName} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == configName {
			var c map[string]any
			if err := json.Unmarshal(data, &c); err != nil {
				t.Fatal(err)
			}
			maps.Copy(c, keys)
			maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
			if data, err = json.Marshal(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestConfigsThatAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		keys map[string]any
		want error
		says string
	}{
		"another kind":           {map[string]any{"peft_type": "PREFIX_TUNING"}, ErrUnsupported, "PREFIX_TUNING"},
		"an unknown key":         {map[string]any{"new_maths": 1}, ErrUnsupported, "new_maths"},
		"tokens":                 {map[string]any{"trainable_token_indices": []int{1}}, ErrUnsupported, "trainable_token_indices"},
		"parameters":             {map[string]any{"target_parameters": []string{"w"}}, ErrUnsupported, "target_parameters"},
		"an init of the base":    {map[string]any{"init_lora_weights": "pissa_niter_4"}, ErrUnsupported, "pissa_niter_4"},
		"rank 0":                 {map[string]any{"r": 0}, ErrCorrupt, "rank"},
		"another rank":           {map[string]any{"r": 7}, ErrCorrupt, "rank 2"},
		"DoRA without magnitude": {map[string]any{"use_dora": true}, ErrCorrupt, "use_dora"},
		"no targets":             {map[string]any{"target_modules": nil}, ErrCorrupt, "target_modules"},
		"other targets":          {map[string]any{"target_modules": []string{"q_proj"}}, ErrCorrupt, "nothing uses"},
		"other layers":           {map[string]any{"layers_to_transform": []int{0}}, ErrCorrupt, "nothing uses"},
		"a pattern of Python's":  {map[string]any{"target_modules": "(?!x).*"}, ErrUnsupported, "pattern"},
		"an alpha that is none":  {map[string]any{"lora_alpha": nil}, ErrCorrupt, "alpha"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Read(copyOf(t, fixture, c.keys))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What decides no mathematics decides no digest; what does, does.
func TestDigest(t *testing.T) {
	read := func(keys map[string]any) string {
		set, err := Read(copyOf(t, fixture, keys))
		if err != nil {
			t.Fatal(err)
		}
		return set.Digest
	}
	first := read(nil)
	if got := read(map[string]any{"base_model_name_or_path": "/home/other", "peft_version": "9", "inference_mode": false, "lora_dropout": 0.5}); got != first {
		t.Error("where it lies changes the digest")
	}
	if read(map[string]any{"lora_alpha": 7}) == first {
		t.Error("alpha does not change the digest")
	}
}

// A folder of which half is there, and one with the pickle of older PEFT.
func TestFolders(t *testing.T) {
	for _, gone := range []string{configName, weightsName} {
		dir := copyOf(t, fixture, nil)
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); !errors.Is(err, ErrCorrupt) {
			t.Errorf("without %s: %v", gone, err)
		}
	}
	dir := copyOf(t, fixture, nil)
	want, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	arrays, err := readArrays(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []array.Array
	for _, a := range arrays {
		list = append(list, array.Of(a.Name, a.Shape, a.Data))
	}
	if err := errors.Join(pickle.Save(filepath.Join(dir, pickleName), pickle.Of(list)), os.Remove(filepath.Join(dir, weightsName))); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil || got.Digest != want.Digest {
		t.Errorf("as a pickle: %v", err)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		config string
		yes    []string
		no     []string
	}{
		{`{"target_modules":["q_proj","mlp.down_proj"]}`, []string{"a.layers.0.q_proj", "x.mlp.down_proj", "q_proj"}, []string{"a.xq_proj", "x.down_proj"}},
		{`{"target_modules":"model\\.layers\\.[01]\\..*(q|v)_proj"}`, []string{"model.layers.1.self_attn.q_proj"}, []string{"model.layers.2.self_attn.q_proj", "model.layers.1.self_attn.q_proj.x"}},
		{`{"target_modules":["q_proj"],"layers_to_transform":[2],"layers_pattern":"h"}`, []string{"t.h.2.q_proj"}, []string{"t.h.1.q_proj", "t.x.2.q_proj"}},
		{`{"target_modules":["q_proj"],"exclude_modules":["1.q_proj"],"modules_to_save":["x"]}`, []string{"h.0.q_proj"}, []string{"h.1.q_proj", "h.x.q_proj"}},
	} {
		var cfg config
		if err := json.Unmarshal([]byte(c.config), &cfg); err != nil {
			t.Fatal(err)
		}
		m, err := cfg.targets()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(c.yes, c.no) {
			if m.means(name) != slices.Contains(c.yes, name) {
				t.Errorf("%s: %s", c.config, name)
			}
		}
	}
}

// FuzzConfig reads any text as a config, and makes a set of a few arrays with it.
func FuzzConfig(f *testing.F) {
	all, err := readArrays(fixture)
	if err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(fixture, configName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, "base_model.model.h.0.q_proj.lora_A.weight")
	f.Add([]byte(`{"peft_type":"ACTFLEET_STEPS","steps":{"fc1_0":{"gain":2}}}`), "fc1_0.add")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		arrays := append(slices.Clone(all), Array{Name: name, Shape: []int{1}, Data: []float32{1}})
		if isOwn(text) {
			_, _ = readOwn(text, arrays[len(all):]) // it may say anything, and may not panic
			return
		}
		if c, err := parseConfig(text); err == nil {
			_, _ = c.set(arrays)
		}
	})
}
