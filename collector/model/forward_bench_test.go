package model_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/safetensors"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// BenchmarkForward is the bare pass of a Phi of 512 channels and 8 blocks over a batch of 1,024 tokens, one thread.
func BenchmarkForward(b *testing.B) {
	m, err := model.Load(wide(b))
	if err != nil {
		b.Fatal(err)
	}
	torch.SetThreads(1)
	last := []tap.Tap{{Site: tap.Resid, Layer: 7}}
	for _, steps := range []int{16, 24, 64, 256} {
		b.Run(fmt.Sprintf("T=%d", steps), func(b *testing.B) {
			ids := make([][]int32, 1024/steps)
			for i := range ids {
				ids[i] = make([]int32, steps)
				for t := range ids[i] {
					ids[i][t] = int32((i*31 + t*7) % 1000)
				}
			}
			for b.Loop() {
				if _, err := m.Forward(b.Context(), model.Request{IDs: ids, Taps: last, Emit: func(int, model.View) error { return nil }}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(1024*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// wide writes a Phi with weights that mean nothing and stay bounded, and returns its folder.
func wide(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	config := `{"model_type":"phi","vocab_size":1000,"hidden_size":512,"intermediate_size":2048,"num_hidden_layers":8,
		"num_attention_heads":8,"num_key_value_heads":8,"max_position_embeddings":1024,"hidden_act":"gelu_new","partial_rotary_factor":0.5}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	var all []safetensors.Tensor
	add := func(name string, dims ...int64) {
		n := int64(1)
		for _, d := range dims {
			n *= d
		}
		data := make([]byte, 4*n)
		for i := range n {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(0.05*float32(math.Sin(float64(i*i%9973)))))
		}
		all = append(all, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: dims, Data: data})
	}
	layer := func(name string, in, out int64) {
		add(name+".weight", out, in)
		add(name+".bias", out)
	}
	norm := func(name string) {
		add(name+".weight", 512)
		add(name+".bias", 512)
	}
	add("model.embed_tokens.weight", 1000, 512)
	for i := range 8 {
		at := fmt.Sprintf("model.layers.%d.", i)
		norm(at + "input_layernorm")
		for _, part := range []string{"q_proj", "k_proj", "v_proj", "dense"} {
			layer(at+"self_attn."+part, 512, 512)
		}
		layer(at+"mlp.fc1", 512, 2048)
		layer(at+"mlp.fc2", 2048, 512)
	}
	norm("model.final_layernorm")
	layer("lm_head", 512, 1000)
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), all, nil); err != nil {
		b.Fatal(err)
	}
	return dir
}
