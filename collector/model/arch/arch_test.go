package arch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"actfleet/collector/model/layer"
	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// shapes is a family's table: its smallest sensible config, what it reads and what it gives. All have 2 blocks, 8
// channels, 2 heads, 12 inner channels and 11 tokens, unless their line says otherwise.
type shapes struct {
	config string // beside model_type
	// weights are "name shape" in lines; those of blocks have a # for the block's number.
	weights string
	qkv     int // width of Wqkv
	z       int
	fc1     int
	buffer  string // the name of a tensor that files carry along and no layer reads; empty: none
	// parallel blocks compute attention and MLP side by side, and have no site between them.
	parallel bool
	experts  int // in every block, in the MLP's place, unless dense is set; 0: none
	dense    int // blocks before the first with experts
}

const llamaSizes = `"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16`

// llamaWeights are those of a block of Llama with one key head of 4 channels.
const llamaWeights = `
	model.embed_tokens.weight 11 8
	model.norm.weight 8
	model.layers.#.input_layernorm.weight 8
	model.layers.#.post_attention_layernorm.weight 8
	model.layers.#.self_attn.q_proj.weight 8 8
	model.layers.#.self_attn.k_proj.weight 4 8
	model.layers.#.self_attn.v_proj.weight 4 8
	model.layers.#.self_attn.o_proj.weight 8 8
	model.layers.#.mlp.gate_proj.weight 12 8
	model.layers.#.mlp.up_proj.weight 12 8
	model.layers.#.mlp.down_proj.weight 8 12`

const llamaBuffer = "model.layers.0.self_attn.rotary_emb.inv_freq"

// wide is llamaWeights with heads of 6 channels, of which 2 have 12.
var wide = strings.NewReplacer("q_proj.weight 8 8", "q_proj.weight 12 8", "k_proj.weight 4 8", "k_proj.weight 6 8", "v_proj.weight 4 8", "v_proj.weight 6 8", "o_proj.weight 8 8", "o_proj.weight 8 12").Replace(llamaWeights)

const qkNorms = `
	model.layers.#.self_attn.q_norm.weight 6
	model.layers.#.self_attn.k_norm.weight 6`

const gemmaNorms = `
	model.layers.#.pre_feedforward_layernorm.weight 8
	model.layers.#.post_feedforward_layernorm.weight 8`

// norms are the lines of LayerNorms of 8 channels.
func norms(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "\n%s.weight 8\n%s.bias 8", n, n)
	}
	return b.String()
}

// linear are the lines of a map with a bias, its matrix [out, in].
func linear(name string, out, in int) string {
	return fmt.Sprintf("\n%s.weight %d %d\n%s.bias %d", name, out, in, name, out)
}

// conv1D are the lines of GPT-2's kind of map, its matrix [in, out].
func conv1D(name string, in, out int) string {
	return fmt.Sprintf("\n%s.weight %d %d\n%s.bias %d", name, in, out, name, out)
}

const msftSizes = `"vocab_size": 11, "pad_vocab_size_multiple": 4, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 12, "rotary_dim": 2`

// byFamily holds every family under its model_type, and variants of some under "model_type: what".
var byFamily = map[string]shapes{
	"llama": {llamaSizes + `, "num_key_value_heads": 1`, llamaWeights + "\nlm_head.weight 11 8", 16, 8, 24, llamaBuffer, false, 0, 0},
	"llama: tied, with biases": {llamaSizes + `, "num_key_value_heads": 1, "tie_word_embeddings": true, "attention_bias": true, "mlp_bias": true`, llamaWeights + `
		model.layers.#.self_attn.q_proj.bias 8
		model.layers.#.self_attn.k_proj.bias 4
		model.layers.#.self_attn.v_proj.bias 4
		model.layers.#.self_attn.o_proj.bias 8
		model.layers.#.mlp.gate_proj.bias 12
		model.layers.#.mlp.up_proj.bias 12
		model.layers.#.mlp.down_proj.bias 8`, 16, 8, 24, "", false, 0, 0},
	"mistral": {llamaSizes + `, "num_key_value_heads": 1, "sliding_window": 3`, llamaWeights + "\nlm_head.weight 11 8", 16, 8, 24, llamaBuffer, false, 0, 0},
	"qwen2": {llamaSizes + `, "num_key_value_heads": 1`, llamaWeights + `
		lm_head.weight 11 8
		model.layers.#.self_attn.q_proj.bias 8
		model.layers.#.self_attn.k_proj.bias 4
		model.layers.#.self_attn.v_proj.bias 4`, 16, 8, 24, llamaBuffer, false, 0, 0},
	"qwen3":       {llamaSizes + `, "num_key_value_heads": 1, "head_dim": 6, "tie_word_embeddings": true`, wide + qkNorms, 24, 12, 24, llamaBuffer, false, 0, 0},
	"gemma":       {llamaSizes + `, "num_key_value_heads": 1, "head_dim": 6`, wide, 24, 12, 24, llamaBuffer, false, 0, 0},
	"gemma2":      {llamaSizes + `, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 3`, wide + gemmaNorms, 24, 12, 24, llamaBuffer, false, 0, 0},
	"gemma3_text": {llamaSizes + `, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 3, "sliding_window_pattern": 2`, wide + gemmaNorms + qkNorms, 24, 12, 24, llamaBuffer, false, 0, 0},
	"phi": {llamaSizes, "model.embed_tokens.weight 11 8" + linear("lm_head", 11, 8) + norms("model.final_layernorm", "model.layers.#.input_layernorm") +
		linear("model.layers.#.self_attn.q_proj", 8, 8) + linear("model.layers.#.self_attn.k_proj", 8, 8) + linear("model.layers.#.self_attn.v_proj", 8, 8) +
		linear("model.layers.#.self_attn.dense", 8, 8) + linear("model.layers.#.mlp.fc1", 12, 8) + linear("model.layers.#.mlp.fc2", 8, 12), 24, 8, 12, llamaBuffer, true, 0, 0},
	"phi-msft": {msftSizes, "transformer.embd.wte.weight 12 8" + norms("lm_head.ln", "transformer.h.#.ln") + linear("lm_head.linear", 12, 8) +
		linear("transformer.h.#.mixer.Wqkv", 24, 8) + linear("transformer.h.#.mixer.out_proj", 8, 8) +
		linear("transformer.h.#.mlp.fc1", 12, 8) + linear("transformer.h.#.mlp.fc2", 8, 12), 24, 8, 12, "transformer.h.0.mixer.rotary_emb.inv_freq", true, 0, 0},
	"mixformer-sequential": {msftSizes, "layers.0.wte.weight 12 8" + norms("layers.3.ln", "layers.+.ln") + linear("layers.3.linear", 12, 8) +
		linear("layers.+.mixer.Wqkv", 24, 8) + linear("layers.+.mixer.out_proj", 8, 8) +
		linear("layers.+.mlp.fc1", 12, 8) + linear("layers.+.mlp.fc2", 8, 12), 24, 8, 12, "layers.1.mixer.rotary_emb.inv_freq", true, 0, 0},
	"gpt_neox": {llamaSizes, "gpt_neox.embed_in.weight 11 8\nembed_out.weight 11 8" +
		norms("gpt_neox.final_layer_norm", "gpt_neox.layers.#.input_layernorm", "gpt_neox.layers.#.post_attention_layernorm") +
		linear("gpt_neox.layers.#.attention.query_key_value", 24, 8) + linear("gpt_neox.layers.#.attention.dense", 8, 8) +
		linear("gpt_neox.layers.#.mlp.dense_h_to_4h", 12, 8) + linear("gpt_neox.layers.#.mlp.dense_4h_to_h", 8, 12), 24, 8, 12, "gpt_neox.layers.1.attention.masked_bias", true, 0, 0},
	"gpt2": {`"vocab_size": 11, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 12`,
		"transformer.wte.weight 11 8\ntransformer.wpe.weight 16 8" + norms("transformer.ln_f", "transformer.h.#.ln_1", "transformer.h.#.ln_2") +
			conv1D("transformer.h.#.attn.c_attn", 8, 24) + conv1D("transformer.h.#.attn.c_proj", 8, 8) +
			conv1D("transformer.h.#.mlp.c_fc", 8, 12) + conv1D("transformer.h.#.mlp.c_proj", 12, 8), 24, 8, 12, "transformer.h.0.attn.bias", false, 0, 0},
}

// inner is the number of channels between the MLP's projections.
func (f shapes) inner() int {
	if f.fc1 == 24 { // gate and up
		return 12
	}
	return f.fc1
}

// widths are those of the sites of a block.
func (f shapes) widths(block int) map[tap.Site]int {
	w := map[tap.Site]int{tap.Wqkv: f.qkv, tap.Z: f.z}
	if f.experts > 0 && block >= f.dense {
		w[tap.Router], w[tap.Experts] = f.experts, 1
	} else {
		w[tap.FC1], w[tap.Act] = f.fc1, f.inner()
	}
	for _, site := range []tap.Site{tap.AttnIn, tap.OutProj, tap.AttnOut, tap.MLPIn, tap.FC2, tap.MLPOut, tap.Resid} {
		w[site] = 8
	}
	if !f.parallel {
		w[tap.ResidMid] = 8
	}
	w[[]tap.Site{tap.Embed, tap.Final}[block]] = 8
	return w
}

// full is a family's config.json.
func (f shapes) full(family string) []byte {
	kind, _, _ := strings.Cut(family, ":")
	return fmt.Appendf(nil, `{"model_type": %q, %s}`, kind, f.config)
}

// positions is how long a prompt may be.
func (f shapes) positions(family string) int {
	if family == "bloom" {
		return bloomPositions
	}
	return 16
}

// checkpoint is a checkpoint in memory: shapes by name, all values 1/8.
type checkpoint map[string][]int64

// checkpoint holds the table's weights for both blocks.
func (f shapes) checkpoint(t *testing.T) checkpoint {
	t.Helper()
	out := checkpoint{}
	for line := range strings.Lines(f.weights) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		var shape []int64
		for _, n := range fields[1:] {
			dim, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			shape = append(shape, dim)
		}
		for i := range 2 { // # counts blocks from 0, + from 1
			out[strings.NewReplacer("#", strconv.Itoa(i), "+", strconv.Itoa(i+1)).Replace(fields[0])] = shape
		}
	}
	return out
}

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// Tensors lists them.
func (c checkpoint) Tensors() (all []safetensors.Info) {
	for name, shape := range c {
		all = append(all, safetensors.Info{Name: name, Dtype: safetensors.F16, Shape: shape, Size: 2 * elements(shape)})
	}
	return all
}

// Bytes is the data of one, in fp16.
func (c checkpoint) Bytes(name string) ([]byte, error) {
	return slices.Repeat([]byte{0, 0x30}, int(elements(c[name]))), nil // 1/8
}

func load(s *torch.Scope, family string, f shapes, c checkpoint) (Network, error) {
	return Load(s, Config{Text: f.full(family)}, layer.NewSource(c, layer.Target{}))
}

// Every family has its table.
func TestEveryFamilyHasATable(t *testing.T) {
	for name := range families {
		if _, ok := byFamily[name]; !ok {
			t.Errorf("no table of %s", name)
		}
	}
}

// Every family reads the weights of its table, and gives every tap its shape [B, T, D].
func TestShapes(t *testing.T) {
	const batch, steps = 3, 5
	for family, f := range byFamily {
		t.Run(family, func(t *testing.T) {
			err := torch.Do(func(s *torch.Scope) error {
				c := f.checkpoint(t)
				net, err := load(s, family, f, c)
				if err != nil {
					return err
				}
				vocab := (11 + 3) / 4 * 4 // as Microsoft's Phi pads it
				if !strings.Contains(f.config, "pad_vocab") {
					vocab = 11
				}
				if got, want := net.Shape(), (Shape{Layers: 2, Hidden: 8, Vocab: vocab, MaxPositions: f.positions(family)}); got != want {
					t.Errorf("shape %+v, want %+v", got, want)
				}
				ids := slices.Repeat([]int64{1, 2, 3, 4, 0}, batch)
				x, masks := net.Embed(s, torch.FromInt64(s, ids, batch, steps), layer.Context{}), layer.NewMasks(s)
				for i := range net.Shape().Layers {
					got := map[tap.Site]int{}
					see := func(site tap.Site, y *torch.Tensor) *torch.Tensor {
						if y.Shape()[0] != batch || y.Shape()[1] != steps {
							t.Errorf("block %d: %v is %v", i, site, y.Shape())
						}
						got[site] += int(y.Shape()[2]) // twice, if a site is emitted twice
						return y
					}
					if i == 0 {
						see(tap.Embed, x)
					}
					x = net.Block(s, i, x, layer.Context{Masks: masks}, see)
					see(tap.Resid, x)
					if i == 1 {
						x = see(tap.Final, net.Final(s, x))
					}
					if want := f.widths(i); !maps.Equal(got, want) {
						t.Errorf("block %d emits %v, want %v", i, got, want)
					}
					for _, site := range tap.Every {
						if w := net.Width(tap.Tap{Site: site, Layer: i}); w != got[site] {
							t.Errorf("Width of %s_%d is %d, and it has %d", site, i, w, got[site])
						}
					}
				}
				if net.Width(tap.Tap{Site: tap.Resid, Layer: 2}) != 0 {
					t.Error("there is no block 2")
				}
				if got := net.Logits(s, s.View(x, batch*steps, 8)).Shape(); !slices.Equal(got, []int64{batch * steps, int64(vocab)}) {
					t.Errorf("logits are %v", got)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Every weight of a table but a head is needed, in its shape; none beside them is taken, but for the buffers a family knows.
func TestWeightsAreThoseOfTheTable(t *testing.T) {
	for family, f := range byFamily {
		t.Run(family, func(t *testing.T) {
			try := func(what string, change func(c checkpoint), want error) {
				c := f.checkpoint(t)
				change(c)
				err := torch.Do(func(s *torch.Scope) error {
					_, err := load(s, family, f, c)
					return err
				})
				if !errors.Is(err, want) {
					t.Errorf("%s: %v", what, err)
				}
			}
			for name, shape := range f.checkpoint(t) {
				absent := error(layer.ErrMismatch)
				if _, bias := f.checkpoint(t)["lm_head.bias"]; headName.MatchString(name) && !bias {
					absent = nil // activations need no head
				}
				try("without "+name, func(c checkpoint) { delete(c, name) }, absent)
				try("with another "+name, func(c checkpoint) { c[name] = append([]int64{shape[0] + 1}, shape[1:]...) }, layer.ErrMismatch)
			}
			try("with one more", func(c checkpoint) { c["model.layers.0.mlp.expert.weight"] = []int64{8, 8} }, layer.ErrMismatch)
			if f.buffer != "" {
				try("with a buffer", func(c checkpoint) { c[f.buffer] = []int64{2} }, nil)
			}
		})
	}
}

// What a config asks for and no family computes is refused by its key.
func TestRefusedConfigs(t *testing.T) {
	for _, c := range []struct{ family, change, says string }{
		{"llama", `"num_attention_heads": 3`, "hidden_size"},
		{"llama", `"num_hidden_layers": 0`, "num_hidden_layers"},
		{"llama", `"num_hidden_layers": -1`, "num_hidden_layers"},
		{"llama", `"hidden_act": "swiglu2"`, "swiglu2"},
		{"llama", `"a_new_key": 1`, "a_new_key"},
		{"llama", `"rope_scaling": {"rope_type": "dynamic"}`, "dynamic"},
		{"llama", `"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2]}`, "long_factor"},
		{"llama", `"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 0], "long_factor": [2, 2]}`, "short_factor"},
		{"phi3", `"rope_scaling": {"rope_type": "linear", "factor": 2}`, "linear"},
		{"phi3", `"original_max_position_embeddings": 1, "rope_scaling": {"type": "su", "short_factor": [1, 1], "long_factor": [2, 2]}`, "original_max"},
		{"phi3", `"partial_rotary_factor": 0.3`, "even"},
		{"olmo3", `"rope_theta": 10000`, "rope_parameters"},
		{"granite", `"logits_scaling": 0`, "logits_scaling"},
		{"starcoder2", `"norm_type": "rms"`, "norm_type"},
		{"smollm3", `"no_rope_layers": [1]`, "no_rope_layers"},
		{"smollm3", `"sliding_window": 3, "layer_types": ["full_attention", "sliding_attention"]`, "use_sliding_window"},
		{"opt", `"do_layer_norm_before": false`, "do_layer_norm_before"},
		{"opt", `"word_embed_proj_dim": 4`, "word_embed_proj_dim"},
		{"falcon", `"num_ln_in_parallel_attn": 2`, "num_ln_in_parallel_attn"},
		{"falcon: two norms", `"parallel_attn": false`, "parallel_attn"},
		{"gptj", `"rotary_dim": null`, "rotary_dim"},
		{"gptj", `"rotary_dim": 6`, "rotary_dim"},
		{"bloom", `"apply_residual_connection_post_layernorm": true`, "apply_residual"},
		{"cohere2", `"head_dim": 6`, "head_dim"},
		{"mixtral", `"num_experts_per_tok": 3`, "num_experts_per_tok"},
		{"mixtral", `"num_local_experts": 0`, "num_local_experts"},
		{"qwen2_moe", `"decoder_sparse_step": 0`, "decoder_sparse_step"},
		{"olmoe", `"clip_qkv": 0`, "clip_qkv"},
		{"gpt_oss", `"swiglu_limit": 0`, "swiglu_limit"},
		{"gpt_oss", `"experts_per_token": 2`, "experts_per_token"},
		{"deepseek_v2", `"norm_topk_prob": true`, "norm_topk_prob"},
		{"deepseek_v2", `"topk_method": "noaux_tc"`, "topk_method"},
		{"deepseek_v2", `"topk_method": "group_limited_greedy", "n_group": 2, "topk_group": 3`, "topk_group"},
		{"deepseek_v2", `"num_key_value_heads": 1`, "num_key_value_heads"},
		{"deepseek_v3", `"scoring_func": "softmax"`, "scoring_func"},
		{"deepseek_v3", `"n_group": 2`, "topk_group"},
		{"arcee", `"hidden_act": "relu3"`, "relu3"},
		{"glm4", `"rope_scaling": {"rope_type": "spiral"}`, "spiral"},
		{"qwen3", `"head_dim": 5`, "head_dim"},
		{"gemma2", `"sliding_window": 0`, "sliding_window"},
		{"gemma3_text", `"layer_types": ["full_attention"]`, "layer_types"},
		{"gpt2", `"n_head": 3`, "n_head"},
		{"gpt_neox", `"rotary_pct": 0`, "rotary"},
		{"phi-msft", `"pad_vocab_size_multiple": 0`, "pad_vocab_size_multiple"},
		{"phi", `"quantization_config": {"bits": 4}`, "quantization_config"},
	} {
		f := byFamily[c.family]
		weights := f.checkpoint(t)
		f.config += ", " + c.change // the last of two keys holds
		err := torch.Do(func(s *torch.Scope) error {
			_, err := load(s, c.family, f, weights)
			return err
		})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: %v", c.family, c.change, err)
		}
	}
	if _, err := ModelType([]byte(`{"model_type": "bert"}`)); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "gemma3_text") {
		t.Errorf("an unknown family: %v", err)
	}
}
