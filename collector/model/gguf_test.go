package model_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/gguf"
	"actfleet/collector/model/gguf/gguftest"
	"actfleet/internal/safetensors"
)

// ggufNames are llama.cpp's names of what Hugging Face calls so, in the order of replacement.
var ggufNames = strings.NewReplacer("model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output", "model.layers", "blk",
	"input_layernorm", "attn_norm", "pre_feedforward_layernorm", "ffn_norm", "post_feedforward_layernorm", "post_ffw_norm",
	"self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k", "self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output",
	"self_attn.q_norm", "attn_q_norm", "self_attn.k_norm", "attn_k_norm", "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down")

// toGGUF writes a fixture as llama.cpp's convert_hf_to_gguf.py does, in 32-bit floats.
func toGGUF(t *testing.T, dir, arch string) gguftest.File {
	t.Helper()
	var c struct {
		Hidden    int     `json:"hidden_size"`
		Inner     int     `json:"intermediate_size"`
		Layers    int     `json:"num_hidden_layers"`
		Heads     int     `json:"num_attention_heads"`
		KV        int     `json:"num_key_value_heads"`
		Width     int     `json:"head_dim"`
		Positions int     `json:"max_position_embeddings"`
		Eps       float64 `json:"rms_norm_eps"`
		Theta     float64 `json:"rope_theta"`
		Local     float64 `json:"rope_local_base_freq"`
		Window    int     `json:"sliding_window"`
		ScoreCap  float64 `json:"attn_logit_softcapping"`
		LogitCap  float64 `json:"final_logit_softcapping"`
		Scaling   struct {
			Factor float64 `json:"factor"`
		} `json:"rope_scaling"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	meta := map[string]any{"general.architecture": arch}
	for key, v := range map[string]any{"embedding_length": c.Hidden, "feed_forward_length": c.Inner, "block_count": c.Layers,
		"attention.head_count": c.Heads, "attention.head_count_kv": c.KV, "attention.key_length": c.Width, "context_length": c.Positions,
		"attention.layer_norm_rms_epsilon": c.Eps, "rope.freq_base": c.Theta} {
		if v != 0 {
			meta[arch+"."+key] = v
		}
	}
	if c.Scaling.Factor > 0 {
		meta[arch+".rope.scaling.type"], meta[arch+".rope.scaling.factor"] = "linear", c.Scaling.Factor
	}
	if arch == "gemma2" || arch == "gemma3" {
		for key, v := range map[string]float64{"attn_logit_softcapping": c.ScoreCap, "final_logit_softcapping": c.LogitCap, "rope.freq_base_swa": c.Local} {
			if v > 0 {
				meta[arch+"."+key] = v
			}
		}
		meta[arch+".attention.sliding_window"] = c.Window
	}
	ckpt, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	f := gguftest.File{Meta: meta}
	for _, info := range ckpt.Tensors() {
		values, err := ckpt.Float32s(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		name := ggufNames.Replace(info.Name)
		if strings.HasPrefix(arch, "gemma") {
			if !strings.Contains(name, "ffn_norm") && arch != "gemma" {
				name = strings.Replace(name, "post_attention_layernorm", "post_attention_norm", 1)
			}
			if strings.HasSuffix(name, "norm.weight") || strings.Contains(name, "layernorm") {
				for i := range values {
					values[i]++
				}
			}
		}
		name = strings.Replace(name, "post_attention_layernorm", "ffn_norm", 1)
		if heads := map[bool]int{strings.Contains(name, "attn_q."): c.Heads, strings.Contains(name, "attn_k."): c.KV}[true]; arch == "llama" && heads > 0 {
			values = permute(values, heads, int(info.Shape[0]))
		}
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: name, Shape: info.Shape, Values: values})
	}
	return f
}

// permute is w.reshape(heads, 2, rows/heads/2, …).swapaxes(1, 2).reshape(w.shape).
func permute(values []float32, heads, rows int) (out []float32) {
	half, row := rows/heads/2, len(values)/rows
	for h := range heads {
		for i := range half {
			for j := range 2 {
				from := (h*2+j)*half + i
				out = append(out, values[from*row:(from+1)*row]...)
			}
		}
	}
	return out
}

var ggufModels = []struct {
	fixture, arch string
	set           map[string]any // what GGUF cannot say of the fixture
}{
	{"llama-3", "llama", map[string]any{"rope_scaling": map[string]any{"rope_type": "linear", "factor": 4}}},
	{"mistral", "llama", map[string]any{"model_type": "llama", "sliding_window": nil, "rope_parameters": nil, "rope_theta": 200}},
	{"qwen2", "qwen2", map[string]any{"use_sliding_window": false}},
	{"qwen3", "qwen3", map[string]any{"use_sliding_window": false, "sliding_window": nil, "layer_types": nil}},
	{"gemma", "gemma", nil},
	{"gemma2", "gemma2", map[string]any{"query_pre_attn_scalar": 10}},
	{"gemma3", "gemma3", map[string]any{"query_pre_attn_scalar": 6}},
}

// TestGGUF loads fixtures of every family from both formats: equal bits at every tap and in the logits.
func TestGGUF(t *testing.T) {
	for _, c := range ggufModels {
		t.Run(c.fixture, func(t *testing.T) {
			dir := copyModel(t, c.fixture)
			for key, v := range c.set {
				setConfig(t, dir, key, v)
			}
			path := filepath.Join(dir, "x.gguf")
			if err := os.WriteFile(path, toGGUF(t, dir, c.arch).Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			want, got := everything(t, dir), everything(t, path)
			if len(want) == 0 || len(got) != len(want) {
				t.Fatalf("%d values, want %d", len(got), len(want))
			}
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("value %d of %d: %g, want %g", i, len(want), got[i], want[i])
				}
			}
		})
	}
}

// everything is all taps and logits of a fixture's prompts.
func everything(t *testing.T, path string) (all []float32) {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := model.Identify(path); err != nil || again.Digest != m.Info().Digest {
		t.Errorf("identity: %+v, %v", again, err)
	}
	ids := [][]int32{{1, 5, 9, 2, 40, 7, 3, 11}, {2}}
	emit := func(_ int, v model.View) error { all = append(all, v.Data...); return nil }
	logits, err := m.Forward(t.Context(), model.Request{IDs: ids, Taps: everyTap(t, m), Emit: emit, Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range logits {
		all = append(all, row...)
	}
	return all
}

func TestGGUFRefuses(t *testing.T) {
	dir := copyModel(t, "gemma")
	for name, c := range map[string]struct {
		change func(f *gguftest.File)
		want   error
		says   string
	}{
		"architecture": {func(f *gguftest.File) { f.Meta["general.architecture"] = "mamba" }, gguf.ErrUnsupported, `"mamba"`},
		"none":         {func(f *gguftest.File) { delete(f.Meta, "general.architecture") }, gguf.ErrCorrupt, "general.architecture"},
		"key":          {func(f *gguftest.File) { f.Meta["gemma.expert_count"] = 8 }, gguf.ErrUnsupported, "gemma.expert_count"},
		"missing":      {func(f *gguftest.File) { delete(f.Meta, "gemma.block_count") }, gguf.ErrCorrupt, "gemma.block_count"},
		"zero":         {func(f *gguftest.File) { f.Meta["gemma.attention.head_count"] = 0 }, gguf.ErrCorrupt, "gemma.attention.head_count"},
		"part":         {func(f *gguftest.File) { f.Meta["gemma.rope.dimension_count"] = 4 }, gguf.ErrUnsupported, "gemma.rope.dimension_count"},
		"yarn":         {func(f *gguftest.File) { f.Meta["gemma.rope.scaling.type"] = "yarn" }, gguf.ErrUnsupported, `"yarn"`},
		"tensor": {func(f *gguftest.File) {
			f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "rope_freqs.weight", Shape: []int64{1}, Values: []float32{1}})
		}, gguf.ErrUnsupported, "rope_freqs.weight"},
		"in a block": {func(f *gguftest.File) { f.Tensors[3].Name = "blk.0.ffn_gate_exps.weight" }, gguf.ErrUnsupported, "ffn_gate_exps"},
	} {
		t.Run(name, func(t *testing.T) {
			f := toGGUF(t, dir, "gemma")
			c.change(&f)
			path := filepath.Join(t.TempDir(), "x.gguf")
			if err := os.WriteFile(path, f.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := model.Load(path)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v that names %s", err, c.want, c.says)
			}
		})
	}
}
