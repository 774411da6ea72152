package arch

import "fmt"

// rotaryConfig is the rotary part of a config.json, in any of its spellings: rope_theta and
// partial_rotary_factor at the top, or inside rope_parameters (transformers 5), with rope_scaling
// as the older place for a scaling rule.
type rotaryConfig struct {
	Theta      float64        `json:"rope_theta"`
	Partial    float64        `json:"partial_rotary_factor"`
	Scaling    map[string]any `json:"rope_scaling"`
	Parameters *struct {
		Theta   float64 `json:"rope_theta"`
		Partial float64 `json:"partial_rotary_factor"`
		Type    string  `json:"rope_type"`
	} `json:"rope_parameters"`
}

// resolve merges the spellings into Theta and Partial, with the family's defaults for what is absent.
// Scaling rules are refused.
func (c *rotaryConfig) resolve(defaults rotaryConfig) error {
	if p := c.Parameters; p != nil {
		if p.Type != "" && p.Type != "default" {
			return fmt.Errorf("%w: config.json: rope_parameters.rope_type %q", ErrUnsupported, p.Type)
		}
		c.Theta, c.Partial = first(p.Theta, c.Theta), first(p.Partial, c.Partial)
	}
	if len(c.Scaling) > 0 {
		kind := fmt.Sprint(firstKey(c.Scaling, "rope_type", "type"))
		if kind != "default" {
			return fmt.Errorf("%w: config.json: rope_scaling of type %s", ErrUnsupported, kind)
		}
	}
	c.Theta, c.Partial = first(c.Theta, defaults.Theta), first(c.Partial, defaults.Partial)
	return nil
}

func first(values ...float64) float64 {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}

func firstKey(m map[string]any, keys ...string) any {
	for _, k := range keys {
		if v, ok := m[k]; ok {
			return v
		}
	}
	return nil
}
