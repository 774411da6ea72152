package arch

import (
	"fmt"
	"slices"
)

// phi3Config is config.json of Hugging Face's Phi3ForCausalLM: Phi-3, 3.5 and 4.
type phi3Config struct {
	decoderConfig
	Act      string   `json:"hidden_act"`
	Window   *int     `json:"sliding_window"` // null: none
	Partial  *float64 `json:"partial_rotary_factor"`
	Original float64  `json:"original_max_position_embeddings"` // what longrope stretches; the rule's own is not read
}

// designPhi3 is Mistral with fused projections and longrope. Transformers takes the type yarn for longrope here.
func designPhi3(text Config, _ func(string) bool) (design, error) {
	c := phi3Config{Act: "silu", Original: 4096,
		decoderConfig: decoderConfig{Vocab: 32064, Hidden: 3072, Inner: 8192, Layers: 32, Heads: 32, Positions: 4096, Eps: 1e-5}}
	if err := parse(text, &c, ""); err != nil {
		return design{}, err
	}
	d, rope, err := c.unturned(c.Act)
	if err != nil {
		return d, err
	}
	if err := c.rope(&d, rope); err != nil || c.Window == nil {
		return d, err
	}
	return d, (windowConfig{Window: c.Window}).windows(&d, func(int) bool { return true })
}

func (c phi3Config) rope(d *design, rope rotaryConfig) error {
	p, err := rope.parameters()
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"default", "longrope", "su", "yarn"}, p.kind()) {
		return fmt.Errorf("%w: config.json: rope_type %q in a phi3, which has longrope or none", ErrUnsupported, p.kind())
	}
	if p.kind() == "yarn" {
		p.Kind = "longrope"
	}
	width := d.layers[0].attention.heads.Width
	r, err := p.rotary(ropeDefaults{theta: or(rope.Theta, 10000), partial: or(c.Partial, 1), even: true, width: width, positions: c.Positions, original: &c.Original})
	d.turn(r)
	return err
}
