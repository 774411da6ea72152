package arch

import (
	"bytes"
	"encoding/json"
	"fmt"

	"actfleet/collector/model/layer"
)

// byWindow reads the rules of full and of windowed blocks: rope_scaling is for full ones, rope_parameters holds both. The
// bases are those of blocks that nothing else gives one.
func (c rotaryConfig) byWindow(fullTheta, localTheta float64) (full, local ropeParameters, err error) {
	if full, err = readRope("rope_scaling", c.Scaling); err != nil {
		return full, local, err
	}
	if len(c.Parameters) > 0 && string(c.Parameters) != "null" {
		if full, local, err = readRopes(c.Parameters, full); err != nil {
			return full, local, err
		}
	}
	full.Theta, local.Theta = ptr(or(full.Theta, or(c.Theta, fullTheta))), ptr(or(local.Theta, localTheta))
	return full, local, nil
}

// readRopes reads the rules by kind of block; scaling is a rule for full blocks that was given outside.
func readRopes(text json.RawMessage, scaling ropeParameters) (full, local ropeParameters, err error) {
	var kinds struct {
		Full  json.RawMessage `json:"full_attention"`
		Local json.RawMessage `json:"sliding_attention"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&kinds); err != nil {
		return full, local, fmt.Errorf("%w: config.json: rope_parameters: %w", ErrUnsupported, err)
	}
	if !scaling.absent() && len(kinds.Full) > 0 {
		return full, local, fmt.Errorf("%w: config.json: rope_scaling and rope_parameters are both set", ErrUnsupported)
	}
	if full = scaling; len(kinds.Full) > 0 {
		if full, err = readRope("rope_parameters.full_attention", kinds.Full); err != nil {
			return full, local, err
		}
	}
	local, err = readRope("rope_parameters.sliding_attention", kinds.Local)
	return full, local, err
}

// turnByWindow turns the blocks that have a window by one rule, and those that have none by the other.
func (d *design) turnByWindow(full, local ropeParameters, positions int) error {
	width := d.layers[0].attention.heads.Width
	defaults := ropeDefaults{partial: 1, width: width, positions: positions}
	whole, err := full.rotary(defaults)
	if err != nil {
		return err
	}
	near, err := local.rotary(defaults)
	if err != nil {
		return err
	}
	if whole.Dims() != width || near.Dims() != width {
		return fmt.Errorf("%w: config.json: partial_rotary_factor; this family turns whole heads", ErrUnsupported)
	}
	rotations := map[bool]*layer.Rotary{false: whole, true: near}
	for i := range d.layers {
		a := &d.layers[i].attention
		a.rotary = rotations[a.scores.Window > 0]
	}
	return nil
}

func ptr[T any](v T) *T { return &v }
