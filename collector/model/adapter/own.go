package adapter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"actfleet/shard/tap"
)

// ownKind is the peft_type of this program's own folders, whose arrays are those of steps: adapter_model.safetensors has
// <site>_<layer>.mul, .add, .down, .down_bias, .up and .up_bias, and adapter_config.json for each tap with down and up what
// it reads and how.
const ownKind = "ACTFLEET_STEPS"

// ownConfig is the adapter_config.json of an own folder.
type ownConfig struct {
	Kind  string             `json:"peft_type"`
	Base  string             `json:"base_model_name_or_path"`
	Steps map[string]ownStep `json:"steps"` // by tap; those with mul and add alone need none
}

type ownStep struct {
	From       tap.Site `json:"from,omitempty"`
	Activation string   `json:"activation,omitempty"`
	Gain       *float64 `json:"gain,omitempty"` // 1 unless it says so
}

// isOwn says whether a config is that of an own folder.
func isOwn(text []byte) bool {
	var head struct {
		Kind string `json:"peft_type"`
	}
	return json.Unmarshal(text, &head) == nil && head.Kind == ownKind
}

// readOwn reads an own folder's steps, in the order of their taps.
func readOwn(text []byte, all []Array) (*Set, error) {
	var c ownConfig
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: adapter_config.json: %w", ErrCorrupt, err)
	}
	set, at := &Set{Base: c.Base}, map[string]int{}
	for _, a := range all {
		column, part, _ := strings.Cut(a.Name, ".")
		t, variant, ok := tap.ParseColumn(column)
		if !ok || variant != "" {
			return nil, fmt.Errorf("%w: array %s: want <site>_<layer>.<part>", ErrCorrupt, a.Name)
		}
		if _, ok := at[column]; !ok {
			at[column] = len(set.Steps)
			set.Steps = append(set.Steps, newStep(t, c.Steps[column]))
			delete(c.Steps, column)
		}
		to, ok := set.Steps[at[column]].part(part)
		if !ok {
			return nil, fmt.Errorf("%w: nothing uses %s", ErrCorrupt, a.Name)
		}
		*to = Array{part, a.Shape, a.Data}
	}
	for column := range c.Steps {
		return nil, fmt.Errorf("%w: the file holds no array of the step at %s", ErrCorrupt, column)
	}
	if len(set.Steps) == 0 {
		return nil, fmt.Errorf("%w: its file holds no array", ErrCorrupt)
	}
	slices.SortFunc(set.Steps, func(a, b Step) int {
		if a.At.Layer != b.At.Layer {
			return a.At.Layer - b.At.Layer
		}
		return a.At.Site.Compare(b.At.Site)
	})
	return set, nil
}

func newStep(t tap.Tap, c ownStep) Step {
	st := Step{At: t, From: c.From, Activation: c.Activation, Gain: 1}
	if c.Gain != nil {
		st.Gain = *c.Gain
	}
	return st
}

// part is the array of a name in an own folder.
func (st *Step) part(name string) (*Array, bool) {
	a, ok := map[string]*Array{"mul": &st.Mul, "add": &st.Add, "down": &st.Down, "down_bias": &st.DownBias, "up": &st.Up, "up_bias": &st.UpBias}[name]
	return a, ok
}
