package arch

import "fmt"

// graniteConfig is config.json of Hugging Face's GraniteForCausalLM: Llama with four factors.
type graniteConfig struct {
	llamaConfig
	Embed    float64 `json:"embedding_multiplier"`
	Residual float64 `json:"residual_multiplier"`
	Scores   float64 `json:"attention_multiplier"` // in the place of 1/√C
	Logits   float64 `json:"logits_scaling"`       // logits are divided by it
}

func designGranite(text Config, _ func(string) bool) (design, error) {
	c := graniteConfig{llamaConfig: llamaDefaults(), Embed: 1, Residual: 1, Scores: 1, Logits: 1}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	for key, v := range map[string]float64{"embedding_multiplier": c.Embed, "residual_multiplier": c.Residual, "attention_multiplier": c.Scores, "logits_scaling": c.Logits} {
		if !(v > 0) {
			return design{}, fmt.Errorf("%w: config.json: %s is %g", ErrUnsupported, key, v)
		}
	}
	d, err := c.design()
	d.embedScale, d.residualScale, d.logitScale = c.Embed, c.Residual, 1/c.Logits
	for i := range d.layers {
		d.layers[i].attention.scores.Scale = c.Scores
	}
	return d, err
}
