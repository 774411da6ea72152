package checkpoint

import (
	"os"
	"path/filepath"
	"testing"

	"actfleet/collector/model/gguf/gguftest"
)

// FuzzOpen opens any bytes as a checkpoint and reads all of it.
func FuzzOpen(f *testing.F) {
	for arch := range families {
		meta := map[string]any{"general.architecture": arch, "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"<unk>", "▁", "a", "▁a"},
			"tokenizer.ggml.token_type": []int32{2, 1, 1, 1}, "tokenizer.ggml.scores": []float32{0, -1, -2, -3}, "tokenizer.ggml.bos_token_id": 0}
		for _, key := range []string{"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "context_length"} {
			meta[arch+"."+key] = 2
		}
		meta[arch+".attention.layer_norm_rms_epsilon"] = 1e-5
		f.Add(gguftest.File{Meta: meta, Tensors: []gguftest.Tensor{
			{Name: "token_embd.weight", Shape: []int64{4, 2}, Values: make([]float32, 8)},
			{Name: "blk.0.attn_q.weight", Shape: []int64{4, 2}, Values: make([]float32, 8)},
			{Name: "blk.0.attn_norm.weight", Shape: []int64{2}, Values: make([]float32, 2)}}}.Bytes())
	}
	path := filepath.Join(f.TempDir(), "x.gguf")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(path)
		if err != nil {
			return
		}
		defer c.Close()
		for _, info := range c.Tensors() {
			if raw, err := c.Bytes(info.Name); err == nil && int64(len(raw)) != info.Size {
				t.Fatalf("%+v: %d bytes", info, len(raw))
			}
		}
		_, _ = c.Tokenizer() // any error, no panic
	})
}
