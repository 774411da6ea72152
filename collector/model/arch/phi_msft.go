package arch

import (
	"encoding/json"
	"fmt"
	"strings"

	"actfleet/shard/tap"
)

// msftConfig is config.json of Microsoft's own Phi code, model_type phi-msft or mixformer-sequential.
type msftConfig struct {
	Vocab     int             `json:"vocab_size"`
	Multiple  int             `json:"pad_vocab_size_multiple"` // vocab_size is rounded up to it
	Positions int             `json:"n_positions"`
	Hidden    int             `json:"n_embd"`
	Layers    int             `json:"n_layer"`
	Heads     int             `json:"n_head"`
	KVHeads   *int            `json:"n_head_kv"`
	Inner     *int            `json:"n_inner"` // null: 4 · n_embd
	Rotary    *int            `json:"rotary_dim"`
	Act       string          `json:"activation_function"`
	Eps       float64         `json:"layer_norm_epsilon"`
	Tied      bool            `json:"tie_word_embeddings"`
	Embedding json.RawMessage `json:"embd_layer"`
	Parts     *struct {
		Block string          `json:"block_cls"`
		Mixer json.RawMessage `json:"mixer"`
		MLP   *struct {
			Class string `json:"mlp_cls"`
		} `json:"mlp"`
	} `json:"architecture"`
}

// msftHarmless choose between kernels of equal results, or concern checkpointing.
const msftHarmless = `flash_attn flash_rotary fused_dense phyagi_version checkpointing gradient_checkpointing`

// phi turns the config into that of Hugging Face's Phi, which computes the same.
func (c msftConfig) phi() (phiConfig, error) {
	kv, inner := or(c.KVHeads, c.Heads), or(c.Inner, 4*c.Hidden)
	if err := checkSizes(map[string]int{"n_embd": c.Hidden, "n_head": c.Heads, "n_head_kv": kv, "n_inner": inner, "n_layer": c.Layers,
		"n_positions": c.Positions, "vocab_size": c.Vocab, "pad_vocab_size_multiple": c.Multiple}); err != nil {
		return phiConfig{}, err
	}
	if err := checkHeads([3]string{"n_embd", "n_head", "n_head_kv"}, c.Hidden, c.Heads, kv); err != nil {
		return phiConfig{}, err
	}
	if err := c.checkParts(); err != nil {
		return phiConfig{}, err
	}
	vocab := (c.Vocab + c.Multiple - 1) / c.Multiple * c.Multiple
	out := phiConfig{Vocab: vocab, Hidden: c.Hidden, Inner: inner, Layers: c.Layers, Heads: c.Heads,
		KVHeads: c.KVHeads, Positions: c.Positions, Act: c.Act, Eps: c.Eps, Tied: c.Tied}
	width := c.Hidden / c.Heads
	out.rotated = min(or(c.Rotary, 32), width)
	return out, nil
}

// checkParts refuses the variants that the mixformer code could build and no Phi is.
func (c msftConfig) checkParts() error {
	if e := string(c.Embedding); e != "" && e != `"default"` {
		return fmt.Errorf("%w: config.json: embd_layer %.40s", ErrUnsupported, e)
	}
	if c.Parts == nil {
		return nil
	}
	if b := c.Parts.Block; b != "" && b != "parallel" {
		return fmt.Errorf("%w: config.json: architecture.block_cls %q", ErrUnsupported, b)
	}
	if m := c.Parts.MLP; m != nil && m.Class != "" && m.Class != "mlp" {
		return fmt.Errorf("%w: config.json: architecture.mlp.mlp_cls %q", ErrUnsupported, m.Class)
	}
	if m := oneLine(string(c.Parts.Mixer)); m != "" && m != "{}" && m != "null" {
		return fmt.Errorf("%w: config.json: architecture.mixer %.40s", ErrUnsupported, m)
	}
	return nil
}

func designMsft(text Config, has func(string) bool) (design, error) {
	c := msftConfig{Vocab: 50304, Multiple: 64, Positions: 2048, Hidden: 1024, Layers: 20, Heads: 16, Act: "gelu_new", Eps: 1e-5}
	if err := parse(text, &c, msftHarmless); err != nil {
		return design{}, err
	}
	cfg, err := c.phi()
	if err != nil {
		return design{}, err
	}
	d, err := cfg.design()
	d.names = msftModules(has, cfg.Layers)
	return d, err
}

// msftModules are those of either generation: blocks are numbered from 1 in the older, where the
// embedding is layer 0 and the head the last.
func msftModules(has func(string) bool, layers int) tap.Modules {
	m, _ := tap.ModulesOf("phi-msft")
	if has("layers.0.wte.weight") {
		last := fmt.Sprintf("layers.%d.", layers+1)
		m.Embed, m.Norm, m.Head, m.Block, m.First = "layers.0.wte", last+"ln", last+"linear", "layers.%d", 1
	}
	return m
}

// msftBuffer says which tensors of a file are no weights.
func msftBuffer(name string) bool {
	return strings.HasSuffix(name, ".rotary_emb.inv_freq") || strings.HasSuffix(name, ".rotary_emb.scale")
}
