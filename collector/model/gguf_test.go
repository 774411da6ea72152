package model_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/gguf"
	"actfleet/collector/model/gguf/gguftest"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/safetensors"
)

// ggufNames are llama.cpp's names of what Hugging Face calls so, in the order of replacement.
var ggufNames = strings.NewReplacer("model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output", "model.layers", "blk",
	"input_layernorm", "attn_norm", "pre_feedforward_layernorm", "ffn_norm", "post_feedforward_layernorm", "post_ffw_norm",
	"self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k", "self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output",
	"self_attn.q_norm", "attn_q_norm", "self_attn.k_norm", "attn_k_norm", "self_attn.q_layernorm.norms", "attn_q_norm", "self_attn.k_layernorm.norms", "attn_k_norm",
	"self_attn.qkv_proj", "attn_qkv", "mlp.gate_up_proj", "ffn_up", "mlp.c_fc", "ffn_up", "mlp.c_proj", "ffn_down", "post_self_attn_layernorm", "post_attention_norm",
	"post_mlp_layernorm", "post_ffw_norm", "mlp.shared_expert_gate", "ffn_gate_inp_shexp", "mlp.shared_expert.gate_proj", "ffn_gate_shexp",
	"mlp.shared_expert.up_proj", "ffn_up_shexp", "mlp.shared_expert.down_proj", "ffn_down_shexp", "mlp.gate.weight", "ffn_gate_inp.weight",
	"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down")

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
		if v != 0 && v != 0. {
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
	stacks := map[string]*gguftest.Tensor{} // of experts and of heads
	for _, info := range ckpt.Tensors() {
		values, err := ckpt.Float32s(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		name := ggufNames.Replace(info.Name)
		if stack, number := ggufStack(name); stack != "" {
			if stacks[stack] == nil {
				stacks[stack] = &gguftest.Tensor{Name: stack, Shape: append([]int64{0}, info.Shape...)}
			}
			put(stacks[stack], number, values)
			continue
		}
		if arch == "olmo2" {
			name = strings.Replace(name, "post_attention_layernorm", "post_attention_norm", 1)
		}
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
		if heads := map[bool]int{strings.Contains(name, "attn_q."): c.Heads, strings.Contains(name, "attn_k."): c.KV}[true]; ggufPermutes[arch] && heads > 0 {
			values = permute(values, heads, int(info.Shape[0]))
		}
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: name, Shape: info.Shape, Values: values})
	}
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		f.Tensors = append(f.Tensors, *stacks[name])
	}
	return f
}

// ggufStack is the tensor in which llama.cpp puts a weight with its like of the other experts or heads, and its number
// among them; "" for one that stands alone.
func ggufStack(name string) (stack string, number int) {
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return "", 0
	}
	number, _ = strconv.Atoi(m[2])
	part := map[string]string{".gate_proj": "ffn_gate_exps", ".up_proj": "ffn_up_exps", ".down_proj": "ffn_down_exps",
		".w1": "ffn_gate_exps", ".w3": "ffn_up_exps", ".w2": "ffn_down_exps"}[m[3]]
	if part == "" {
		part = m[1] // a head's norm
	}
	return name[:strings.Index(name, m[0])] + part + ".weight", number
}

var numbered = regexp.MustCompile(`(mlp\.experts|block_sparse_moe\.experts|attn_[qk]_norm)\.(\d+)(\.\w+)?\.weight`)

// put is values as step number of a stack's first dimension.
func put(t *gguftest.Tensor, number int, values []float32) {
	if need := (number + 1) * len(values); len(t.Values) < need {
		t.Values = append(t.Values, make([]float32, need-len(t.Values))...)
		t.Shape[0] = int64(number + 1)
	}
	copy(t.Values[number*len(values):], values)
}

// ggufPermutes are the architectures whose query and key rows llama.cpp puts in its own order.
var ggufPermutes = map[string]bool{"llama": true, "arcee": true, "smollm3": true, "granite": true}

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
	meta          map[string]any // what it says beside that, without the architecture
}{
	{"llama-3", "llama", map[string]any{"rope_scaling": map[string]any{"rope_type": "linear", "factor": 4}}, nil},
	{"mistral", "llama", map[string]any{"model_type": "llama", "sliding_window": nil, "rope_parameters": nil, "rope_theta": 200}, nil},
	{"qwen2", "qwen2", map[string]any{"use_sliding_window": false}, nil},
	{"qwen3", "qwen3", map[string]any{"use_sliding_window": false, "sliding_window": nil, "layer_types": nil}, nil},
	{"gemma", "gemma", nil, nil},
	{"gemma2", "gemma2", map[string]any{"query_pre_attn_scalar": 10}, nil},
	{"gemma3", "gemma3", map[string]any{"query_pre_attn_scalar": 6}, nil},
	{"arcee", "arcee", nil, nil},
	{"smollm3", "smollm3", map[string]any{"no_rope_layers": nil, "use_sliding_window": false, "sliding_window": nil}, nil},
	{"granite", "granite", nil, map[string]any{"attention.scale": 0.21, "embedding_scale": 3.0, "residual_scale": 0.35, "logit_scale": 5.0}},
	{"olmo2", "olmo2", nil, nil},
	{"phi3", "phi3", map[string]any{"rope_scaling": nil}, map[string]any{"attention.sliding_window": 9, "rope.dimension_count": 6, "rope.scaling.original_context_length": 12}},
	{"starcoder2", "starcoder2", map[string]any{"sliding_window": nil}, map[string]any{"attention.layer_norm_epsilon": 1e-3}},
	{"stablelm", "stablelm", map[string]any{"partial_rotary_factor": 0.5}, map[string]any{"attention.layer_norm_epsilon": 1e-3, "rope.dimension_count": 4}},
	{"stablelm-parallel", "stablelm", map[string]any{"rope_parameters": nil, "rope_theta": 90, "partial_rotary_factor": 0.5},
		map[string]any{"attention.layer_norm_epsilon": 1e-3, "rope.dimension_count": 4, "use_parallel_residual": true}},
	{"cohere2", "cohere2", map[string]any{"sliding_window_pattern": 4}, map[string]any{"attention.layer_norm_epsilon": 1e-3, "logit_scale": 0.3, "attention.sliding_window": 5}},
	{"glm4", "glm4", nil, map[string]any{"rope.dimension_count": 6}},
	{"mixtral", "llama", map[string]any{"sliding_window": nil}, map[string]any{"expert_count": 5, "expert_used_count": 2}},
	{"qwen2-moe", "qwen2moe", nil, map[string]any{"expert_count": 6, "expert_used_count": 3, "expert_feed_forward_length": 8, "expert_shared_feed_forward_length": 12}},
	{"qwen3-moe", "qwen3moe", nil, map[string]any{"expert_count": 6, "expert_used_count": 3, "expert_feed_forward_length": 10}},
	{"olmoe", "olmoe", map[string]any{"clip_qkv": nil}, map[string]any{"expert_count": 7, "expert_used_count": 3}},
}

// TestGGUF loads fixtures of every family from both formats: equal bits at every tap and in the logits.
func TestGGUF(t *testing.T) {
	for _, c := range ggufModels {
		t.Run(c.fixture, func(t *testing.T) {
			dir := copyModel(t, c.fixture)
			for key, v := range c.set {
				setConfig(t, dir, key, v)
			}
			f := toGGUF(t, dir, c.arch)
			for key, v := range c.meta {
				f.Meta[c.arch+"."+key] = v
			}
			want, got := everything(t, dir), everything(t, writeGGUF(t, f))
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

func writeGGUF(t *testing.T, f gguftest.File) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, f.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What frequencies are divided by is a tensor in GGUF, where config.json has a rule: llama3's bands of wavelengths, and the
// two lists of longrope.
func TestGGUFRopeFactors(t *testing.T) {
	bands := make([]float32, 5) // of 10 channels with base 50: from 32 positions a factor of 4, up to 8 none
	for i := range bands {
		length := 2 * math.Pi * math.Pow(50, float64(2*i)/10)
		smooth := (32/length - 1) / (4 - 1)
		bands[i] = float32(1 / (max(0, min(1, smooth)) + (1-max(0, min(1, smooth)))/4))
	}
	for _, c := range []struct {
		fixture, arch string
		factors       map[string][]float32
		meta          map[string]any
	}{
		{"llama-3", "llama", map[string][]float32{"rope_freqs": bands}, nil},
		{"phi3", "phi3", map[string][]float32{"rope_factors_short": {1, 1.25, 1.5}, "rope_factors_long": {1.5, 2.5, 4}},
			map[string]any{"attention.sliding_window": 9, "rope.dimension_count": 6, "rope.scaling.original_context_length": 12,
				"rope.scaling.attn_factor": math.Sqrt(1 + math.Log(64./12)/math.Log(12))}},
	} {
		dir := copyModel(t, c.fixture)
		f := toGGUF(t, dir, c.arch)
		delete(f.Meta, c.arch+".rope.scaling.type")
		delete(f.Meta, c.arch+".rope.scaling.factor")
		for key, v := range c.meta {
			f.Meta[c.arch+"."+key] = v
		}
		for name, values := range c.factors {
			f.Tensors = append(f.Tensors, gguftest.Tensor{Name: name + ".weight", Shape: []int64{int64(len(values))}, Values: values})
		}
		want, got := everything(t, dir), everything(t, writeGGUF(t, f))
		if off := modeltest.MaxRelRMS(got, want); off > 1e-5 {
			t.Errorf("%s is off by %g", c.fixture, off)
		}
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
		"experts in one dimension": {func(f *gguftest.File) {
			f.Meta["general.architecture"] = "olmoe"
			f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "blk.0.ffn_up_exps.weight", Shape: []int64{4}, Values: make([]float32, 4)})
			for _, key := range []string{"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "context_length", "expert_count", "expert_used_count"} {
				f.Meta["olmoe."+key] = 2
			}
			f.Meta["olmoe.attention.layer_norm_rms_epsilon"] = 1e-5
		}, gguf.ErrCorrupt, "ffn_up_exps"},
		"missing": {func(f *gguftest.File) { delete(f.Meta, "gemma.block_count") }, gguf.ErrCorrupt, "gemma.block_count"},
		"zero":    {func(f *gguftest.File) { f.Meta["gemma.attention.head_count"] = 0 }, gguf.ErrCorrupt, "gemma.attention.head_count"},
		"part":    {func(f *gguftest.File) { f.Meta["gemma.rope.dimension_count"] = 4 }, gguf.ErrUnsupported, "gemma.rope.dimension_count"},
		"yarn":    {func(f *gguftest.File) { f.Meta["gemma.rope.scaling.type"] = "yarn" }, gguf.ErrUnsupported, `"yarn"`},
		"tensor": {func(f *gguftest.File) {
			f.Tensors = append(f.Tensors, gguftest.Tensor{Name: "rope_freqs.weight", Shape: []int64{1}, Values: []float32{1}})
		}, gguf.ErrUnsupported, "rope_freqs.weight"},
		"in a block": {func(f *gguftest.File) { f.Tensors[3].Name = "blk.0.ffn_gate_exps.weight" }, gguf.ErrUnsupported, "ffn_gate_exps"},
	} {
		t.Run(name, func(t *testing.T) {
			f := toGGUF(t, dir, "gemma")
			c.change(&f)
			_, err := model.Load(writeGGUF(t, f))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v that names %s", err, c.want, c.says)
			}
		})
	}
}
