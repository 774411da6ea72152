package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
)

func TestLoadEnds(t *testing.T) {
	for _, c := range []struct {
		config, generation string // "": no such file
		want               []int32
		fails              bool
	}{
		{config: `{"eos_token_id": 7}`, want: []int32{7}},
		{config: `{"eos_token_id": 7}`, generation: `{"eos_token_id": [3, 4]}`, want: []int32{3, 4}},
		{config: `{"eos_token_id": 7}`, generation: `{"do_sample": true}`, want: []int32{7}},
		{config: `{}`},
		{config: `{"eos_token_id": null}`},
		{config: `{"eos_token_id": "</s>"}`, fails: true},
		{config: `{"eos_token_id": -1}`, fails: true},
		{config: `{"eos_token_id": [1, 5000000000]}`, fails: true},
		{config: `{}`, generation: `{`, fails: true},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"config.json": c.config, "generation_config.json": c.generation} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := model.LoadEnds(dir)
		if (err != nil) != c.fails || !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %v, %v; want %v", c.config, c.generation, got, err, c.want)
		}
	}
}
