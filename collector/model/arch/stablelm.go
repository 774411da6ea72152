package arch

import "actfleet/shard/tap"

// stablelmConfig is config.json of Hugging Face's StableLmForCausalLM.
type stablelmConfig struct {
	decoderConfig
	Act      string   `json:"hidden_act"`
	NormEps  float64  `json:"layer_norm_eps"`
	QKVBias  bool     `json:"use_qkv_bias"`
	QKNorm   bool     `json:"qk_layernorm"`
	Parallel bool     `json:"use_parallel_residual"`
	Partial  *float64 `json:"partial_rotary_factor"`
}

// designStablelm is Llama with LayerNorms, of which a block that computes attention and MLP side by side has one. Where
// queries and keys are normed, each head has weights of its own.
func designStablelm(text Config, _ func(string) bool) (design, error) {
	kv := 32
	c := stablelmConfig{Act: "silu", NormEps: 1e-5,
		decoderConfig: decoderConfig{Vocab: 50304, Hidden: 2560, Inner: 6912, Layers: 32, Heads: 32, KVHeads: &kv, Positions: 4096}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, rope, err := c.unturned(c.Act)
	if err != nil {
		return d, err
	}
	d.norm, d.parallel = normKind{eps: c.NormEps, bias: true}, c.Parallel
	d.biases(c.QKVBias, false, false)
	d.names, _ = tap.ModulesOf("stablelm")
	if c.Parallel {
		d.names.MLPNorm = ""
	}
	for i := range d.layers {
		if c.QKNorm {
			d.layers[i].attention.qkNorm = normEachHead
		}
	}
	return d, rope.turnPart(&d, ropeDefaults{theta: 10000, partial: or(c.Partial, 0.25), positions: c.Positions})
}

// derived are keys of other families that this one's sizes decide.
func (c *stablelmConfig) derived() map[string]int {
	return map[string]int{"head_dim": ratio(c.Hidden, c.Heads)}
}
