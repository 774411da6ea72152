package arch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"actfleet/collector/model/layer"
)

// rotaryConfig is the rotary part of a config.json, in either of its spellings: rope_theta at the top
// with a scaling rule in rope_scaling, or everything inside rope_parameters (transformers 5).
type rotaryConfig struct {
	Theta      *float64        `json:"rope_theta"`
	Scaling    json.RawMessage `json:"rope_scaling"`
	Parameters json.RawMessage `json:"rope_parameters"`
}

// ropeParameters is one scaling rule.
type ropeParameters struct {
	Kind            string   `json:"rope_type"`
	OldKind         string   `json:"type"`
	Theta           *float64 `json:"rope_theta"`
	Partial         *float64 `json:"partial_rotary_factor"`
	Factor          *float64 `json:"factor"`
	Low             *float64 `json:"low_freq_factor"`
	High            *float64 `json:"high_freq_factor"`
	Original        *float64 `json:"original_max_position_embeddings"`
	AttentionFactor *float64 `json:"attention_factor"`
	Mscale          *float64 `json:"mscale"`
	MscaleAll       *float64 `json:"mscale_all_dim"`
	Fast            *float64 `json:"beta_fast"`
	Slow            *float64 `json:"beta_slow"`
	Truncate        *bool    `json:"truncate"`

	ShortFactors []float64 `json:"short_factor"` // of longrope: one for each pair of channels
	LongFactors  []float64 `json:"long_factor"`
}

// absent says whether a config holds no rule.
func (p ropeParameters) absent() bool { return reflect.ValueOf(p).IsZero() }

// parameters reads whichever of rope_scaling and rope_parameters is set (the first wins).
func (c rotaryConfig) parameters() (ropeParameters, error) {
	if p, err := readRope("rope_scaling", c.Scaling); err != nil || !p.absent() {
		return p, err
	}
	return readRope("rope_parameters", c.Parameters)
}

func readRope(key string, text json.RawMessage) (p ropeParameters, err error) {
	if len(text) == 0 || string(text) == "null" {
		return p, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("%w: config.json: %s: %w", ErrUnsupported, key, err)
	}
	return p, nil
}

// ropeDefaults are a model's values for what the rule leaves out.
type ropeDefaults struct {
	theta, partial float64
	width          int // channels of a head
	positions      int
	original       *float64 // positions before the context was stretched, where a config gives them outside of the rule
	adjacent       bool     // neighbouring channels turn together
	even           bool     // Hugging Face's code needs an even number of channels
}

// rotary builds the rotation of a head.
func (c rotaryConfig) rotary(d ropeDefaults) (*layer.Rotary, error) {
	p, err := c.parameters()
	if err != nil {
		return nil, err
	}
	d.theta = or(c.Theta, d.theta)
	return p.rotary(d)
}

// turn gives every block a rotation.
func (d *design) turn(r *layer.Rotary) {
	for i := range d.layers {
		d.layers[i].attention.rotary = r
	}
}

// turnPart gives every block the rotation of an even part of its heads.
func (c rotaryConfig) turnPart(d *design, r ropeDefaults) error {
	r.width, r.even = d.layers[0].attention.heads.Width, true
	rope, err := c.rotary(r)
	if err != nil {
		return err
	}
	d.turn(rope)
	d.shape.MaxPositions = c.reach(r.positions)
	return nil
}

func (p ropeParameters) rotary(d ropeDefaults) (*layer.Rotary, error) {
	base, partial := or(p.Theta, d.theta), or(p.Partial, d.partial)
	dims := int(float64(d.width) * partial)
	if partial == 1 && d.width%2 != 0 {
		return nil, fmt.Errorf("%w: config.json: heads of %d channels (head_dim); they turn in pairs", ErrUnsupported, d.width)
	}
	if d.even && dims%2 != 0 {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor %g turns %d of %d channels of a head; an even number is needed", ErrUnsupported, partial, dims, d.width)
	}
	if dims < 1 || dims+dims%2 > d.width {
		return nil, fmt.Errorf("%w: config.json: partial_rotary_factor %g turns %d of %d channels of a head", ErrUnsupported, partial, dims, d.width)
	}
	if !(base > 1) {
		return nil, fmt.Errorf("%w: config.json: rope_theta is %g", ErrUnsupported, base)
	}
	r, err := p.byKind(dims, base, d)
	if err == nil && d.adjacent {
		r.AdjacentPairs()
	}
	return r, err
}

func (p ropeParameters) byKind(dims int, base float64, d ropeDefaults) (*layer.Rotary, error) {
	original := or(d.original, or(p.Original, float64(d.positions)))
	switch p.kind() {
	case "default":
		return layer.NewRotary(layer.Frequencies(dims, base), 1), nil
	case "linear", "llama3", "yarn":
		return p.scaled(layer.Frequencies(dims, base), dims, base, original)
	case "dynamic":
		return p.dynamic(dims, base, d.positions)
	case "longrope", "su":
		return p.long(dims, base, float64(d.positions), original)
	}
	return nil, fmt.Errorf("%w: config.json: rope_type %q", ErrUnsupported, p.kind())
}

func (p ropeParameters) kind() string {
	switch {
	case p.Kind != "":
		return p.Kind
	case p.OldKind != "":
		return p.OldKind
	}
	return "default"
}

func (p ropeParameters) scaled(freqs []float32, dims int, base, original float64) (*layer.Rotary, error) {
	if p.Factor == nil || !(*p.Factor > 0) || !(original > 0) {
		return nil, fmt.Errorf("%w: config.json: rope_type %q needs a positive factor", ErrUnsupported, p.kind())
	}
	factor := *p.Factor
	switch p.kind() {
	case "linear":
		return layer.NewRotary(layer.LinearScaling(freqs, factor), 1), nil
	case "llama3":
		if p.Low == nil || p.High == nil || !(*p.Low > 0) || !(*p.High > *p.Low) {
			return nil, fmt.Errorf("%w: config.json: rope_type llama3 needs low_freq_factor below high_freq_factor", ErrUnsupported)
		}
		rule := layer.Llama3Scaling{Factor: factor, Low: *p.Low, High: *p.High, Original: original}
		return layer.NewRotary(rule.Apply(freqs), 1), nil
	}
	rule := layer.YarnScaling{Factor: factor, Fast: or(p.Fast, 32), Slow: or(p.Slow, 1), Original: original, Truncate: p.Truncate == nil || *p.Truncate}
	return layer.NewRotary(rule.Apply(freqs, dims, base), p.yarnGain(factor)), nil
}

// dynamic is dynamic NTK scaling: a prompt longer than the model's positions has a base of its own.
func (p ropeParameters) dynamic(dims int, base float64, positions int) (*layer.Rotary, error) {
	if p.Factor == nil || !(*p.Factor >= 1) || dims <= 2 {
		return nil, fmt.Errorf("%w: config.json: rope_type \"dynamic\" needs a factor of at least 1 and more than 2 channels", ErrUnsupported)
	}
	factor := *p.Factor
	return layer.NewRotary(layer.Frequencies(dims, base), 1).Beyond(positions, func(n int) []float32 {
		return layer.Frequencies(dims, layer.DynamicBase(dims, base, factor, positions, n))
	}), nil
}

// long is longrope: one list of factors for prompts of up to original positions, and one for those that are longer.
func (p ropeParameters) long(dims int, base, positions, original float64) (*layer.Rotary, error) {
	for key, factors := range map[string][]float64{"short_factor": p.ShortFactors, "long_factor": p.LongFactors} {
		if len(factors) != dims/2 || slices.ContainsFunc(factors, func(f float64) bool { return !(f > 0) }) {
			return nil, fmt.Errorf("%w: config.json: rope_type %q needs %d positive numbers in %s, which has %d entries", ErrUnsupported, p.kind(), dims/2, key, len(factors))
		}
	}
	if !(original > 1) {
		return nil, fmt.Errorf("%w: config.json: original_max_position_embeddings is %g", ErrUnsupported, original)
	}
	gain := or(p.AttentionFactor, layer.LongGain(or(p.Factor, positions/original), original))
	long := layer.LongFrequencies(dims, base, p.LongFactors)
	return layer.NewRotary(layer.LongFrequencies(dims, base, p.ShortFactors), gain).Beyond(int(original), func(int) []float32 { return long }), nil
}

// reach is how many positions a prompt may have: those of the config, which dynamic NTK scaling stretches.
func (c rotaryConfig) reach(positions int) int {
	p, err := c.parameters()
	if err == nil && p.kind() == "dynamic" && p.Factor != nil {
		return int(min(*p.Factor*float64(positions), 1<<24))
	}
	return positions
}

func (p ropeParameters) yarnGain(factor float64) float64 {
	m, all := or(p.Mscale, 0), or(p.MscaleAll, 0)
	switch {
	case p.AttentionFactor != nil:
		return *p.AttentionFactor
	case m != 0 && all != 0:
		return layer.YarnGain(factor, m) / layer.YarnGain(factor, all)
	}
	return layer.YarnGain(factor, 1)
}

// or is *v, or the default when v is nil.
func or[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}
