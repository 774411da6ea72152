package export

import "testing"

// Names are those of transformers' modules and of TransformerLens's hooks, and none where those are other vectors.
func TestHooks(t *testing.T) {
	for _, c := range []struct {
		model, column string
		want          Hook
	}{
		{"llama", "resid_12", Hook{"blocks.12.hook_resid_post", "model.layers.12"}},
		{"llama", "fc2_3__ia3", Hook{"blocks.3.hook_mlp_out", "model.layers.3.mlp.down_proj"}},
		{"llama", "out_proj_0", Hook{"blocks.0.hook_attn_out", "model.layers.0.self_attn.o_proj"}},
		{"llama", "fc1_3", Hook{}},
		{"gemma2", "fc2_3", Hook{"blocks.3.mlp.hook_out", "model.layers.3.mlp.down_proj"}},
		{"gemma2", "mlp_out_3", Hook{"blocks.3.hook_mlp_out", "model.layers.3.post_feedforward_layernorm"}},
		{"gemma2", "mlp_in_3", Hook{"blocks.3.mlp.hook_in", "model.layers.3.pre_feedforward_layernorm"}},
		{"llama", "mlp_in_3", Hook{"blocks.3.mlp.hook_in", "model.layers.3.post_attention_layernorm"}},
		{"llama", "z_3", Hook{"blocks.3.attn.hook_z", ""}},
		{"llama", "embed_0", Hook{"blocks.0.hook_resid_pre", ""}},
		{"gemma3_text", "resid_2", Hook{"blocks.2.hook_resid_post", "model.layers.2"}},
		{"gpt2", "Wqkv_1", Hook{"", "transformer.h.1.attn.c_attn"}},
		{"gpt2", "fc1_1", Hook{"blocks.1.mlp.hook_pre", "transformer.h.1.mlp.c_fc"}},
		{"gpt_neox", "Wqkv_1", Hook{}},
		{"phi", "out_proj_4", Hook{"blocks.4.hook_attn_out", "model.layers.4.self_attn.dense"}},
		{"bert", "resid_1", Hook{}},
		{"llama", "label", Hook{}},
	} {
		if got := HookOf(c.model, c.column); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.model, c.column, got, c.want)
		}
	}
}
