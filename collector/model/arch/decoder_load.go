package arch

import (
	"fmt"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// loadDecoder reads the weights of a design, under the names Llama gave them.
func loadDecoder(s *torch.Scope, d design, src *layer.Source) (Network, error) {
	m := &decoder{design: d}
	var err error
	v := vocabulary{embed: "model.embed_tokens", head: "lm_head", tied: d.tied, size: d.shape.Vocab, width: d.shape.Hidden}
	if m.embed, m.head, err = v.load(s, src); err != nil {
		return nil, err
	}
	m.shape.NoHead = m.head == nil
	for i := range d.shape.Layers {
		block, err := d.loadBlock(s, src.Block(i, d.shape.Layers), fmt.Sprintf("model.layers.%d.", i))
		if err != nil {
			return nil, err
		}
		m.blocks = append(m.blocks, block)
	}
	m.norm, err = d.loadNorm(s, src, "model.norm", d.shape.Hidden)
	return m, err
}

func (d design) loadNorm(s *torch.Scope, src *layer.Source, name string, width int) (layer.RMSNorm, error) {
	return layer.LoadRMSNorm(s, src, name, width, d.eps, d.normOffset)
}

func (d design) loadBlock(s *torch.Scope, src *layer.Source, at string) (b decoderBlock, err error) {
	if err = d.loadMaps(s, src, at, &b); err != nil {
		return b, err
	}
	if err = d.loadNorms(s, src, at, &b); err != nil || !d.qkNorm {
		return b, err
	}
	q, err := d.loadNorm(s, src, at+"self_attn.q_norm", d.heads.Width)
	if err != nil {
		return b, err
	}
	k, err := d.loadNorm(s, src, at+"self_attn.k_norm", d.heads.Width)
	b.qNorm, b.kNorm = &q, &k
	return b, err
}

func (d design) loadMaps(s *torch.Scope, src *layer.Source, at string, b *decoderBlock) (err error) {
	h, hidden := d.heads, d.shape.Hidden
	qkv := []string{at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"}
	if b.qkv, err = layer.LoadFused(s, src, qkv, hidden, []int{h.QueryWidth(), h.KeyWidth(), h.KeyWidth()}, d.bias.qkv); err != nil {
		return err
	}
	if b.out, err = layer.LoadLinear(s, src, at+"self_attn.o_proj", h.QueryWidth(), hidden, d.bias.out); err != nil {
		return err
	}
	gateUp := []string{at + "mlp.gate_proj", at + "mlp.up_proj"}
	if b.fc1, err = layer.LoadFused(s, src, gateUp, hidden, []int{d.inner, d.inner}, d.bias.mlp); err != nil {
		return err
	}
	b.fc2, err = layer.LoadLinear(s, src, at+"mlp.down_proj", d.inner, hidden, d.bias.mlp)
	return err
}

// loadNorms reads two norms or, with postNorms, four. The name post_attention_layernorm then means what
// it says; without, it is the norm before the MLP.
func (d design) loadNorms(s *torch.Scope, src *layer.Source, at string, b *decoderBlock) (err error) {
	var postAttn, postMLP layer.RMSNorm
	norms := map[string]*layer.RMSNorm{"input_layernorm": &b.norm, "post_attention_layernorm": &b.mlpNorm}
	if d.postNorms {
		b.postAttn, b.postMLP = &postAttn, &postMLP
		norms = map[string]*layer.RMSNorm{"input_layernorm": &b.norm, "post_attention_layernorm": b.postAttn,
			"pre_feedforward_layernorm": &b.mlpNorm, "post_feedforward_layernorm": b.postMLP}
	}
	for name, to := range norms {
		if *to, err = d.loadNorm(s, src, at+name, d.shape.Hidden); err != nil {
			return err
		}
	}
	return nil
}
