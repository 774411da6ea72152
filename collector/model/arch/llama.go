package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// llamaConfig is config.json of Hugging Face's LlamaForCausalLM; TinyLlama has the same.
type llamaConfig struct {
	decoderConfig
	Act      string `json:"hidden_act"`
	AttnBias bool   `json:"attention_bias"`
	MLPBias  bool   `json:"mlp_bias"`
}

var familyLlama = family{loadLlama, oldRotary, "model.", "embed_tokens.weight"}

func loadLlama(s *torch.Scope, text Config, src *layer.Source) (Network, error) {
	c := llamaConfig{Act: "silu", decoderConfig: decoderConfig{Vocab: 32000, Hidden: 4096, Inner: 11008, Layers: 32, Heads: 32, Positions: 2048, Eps: 1e-6}}
	if err := parse(text, &c, ""); err != nil {
		return nil, err
	}
	d, err := c.design(c.Act, 10000)
	if err != nil {
		return nil, err
	}
	d.bias.qkv, d.bias.out, d.bias.mlp = c.AttnBias, c.AttnBias, c.MLPBias
	return loadDecoder(s, d, src)
}
