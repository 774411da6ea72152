package recipe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
	"actfleet/trainer/stream/where"
)

// Recipe is everything that decides what a training gives, apart from the data. Of SAE, VQ and Probe only the part that
// Kind names counts.
type Recipe struct {
	Kind  string // coder.SAE, coder.VQ or coder.Probe
	Seed  uint64 // initialisation, resampling, what is drawn but the order of rows
	Data  Data
	Loop  Loop
	SAE   SAE
	VQ    VQ
	Probe Probe
}

// Data is which rows are read, and how they are mixed.
type Data struct {
	Tokens        string   // token rule
	Where         []string // conditions, all of which must hold
	Holdout       float64  // share of the data kept for evaluation
	HoldoutBy     string   // column whose equal values stay together
	ShuffleWindow int      // row groups mixed together
	Span          int      // units mixed with each other; 0 is all
	MaxNorm       float64  // in median norms; 0 is none
	Sinks         string   // stream.DropSinks, ClipSinks or KeepSinks
	NonFinite     string   // drop or fail
	Seed          uint64   // of the order of rows
}

// Loop is how the optimizer's steps go.
type Loop struct {
	Batch, Micro                    int // rows of an optimizer step, and computed at once
	Steps, Epochs                   int
	LR, Warmup, Cooldown            float64
	Cosine                          bool
	Clip                            float64
	InitRows                        int
	EvalRows, EvalSteps             int
	LogSteps                        int
	CheckpointSteps, CheckpointKeep int
	CheckpointMinutes               float64
}

// What non_finite may be.
const (
	dropRows   = "drop"
	failAtRows = "fail"
)

// Auto, as the value of a number, lets the kind of coder or the data decide; a resolved Recipe holds the number that was
// taken.
const Auto = -1

// kinds are all that a recipe may be for.
var kinds = []string{coder.SAE, coder.VQ, coder.Probe}

// Default is the Recipe of a kind. It trains about a million rows, for example 20 epochs of 50,000: under a minute on
// two cores at width 256.
func Default(kind string) Recipe {
	r := Recipe{Kind: kind,
		Data: Data{Tokens: "all", Holdout: 0.05, HoldoutBy: "auto", ShuffleWindow: 64, Span: 64, Sinks: stream.DropSinks, NonFinite: dropRows},
		Loop: Loop{Batch: 2048, Micro: 1024, Steps: 500, Warmup: 0.05, Cooldown: 0.2, Clip: 1,
			InitRows: 8192, EvalRows: 16384, EvalSteps: 100, LogSteps: 10, CheckpointSteps: 100, CheckpointKeep: 2},
		SAE: defaultSAE(), VQ: defaultVQ(), Probe: defaultProbe()}
	if kind == coder.VQ {
		r.Loop.InitRows = 16384 // at 8,192 rows k-means fits 256 codes to what these rows alone have
	}
	if kind == coder.Probe {
		r.Data.Tokens, r.Data.Holdout = "last", 0
	}
	return r
}

// Load is the default of a kind, changed by a YAML file (none when path is empty) and then by settings "key=value". All
// problems are reported at once.
func Load(kind, path string, settings []string) (Recipe, error) {
	r := Default(kind)
	if !slices.Contains(kinds, kind) {
		return r, fmt.Errorf("unknown kind of coder %q: want %s", kind, strings.Join(kinds, ", "))
	}
	var errs []error
	if path != "" {
		values, err := readYAML(path)
		if err != nil {
			return r, err
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if err := r.set(key, values[key]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
			}
		}
	}
	for _, s := range settings {
		errs = append(errs, r.Set(s))
	}
	errs = append(errs, r.Validate())
	return r, errors.Join(errs...)
}

// Validate reports every value that the kind cannot have.
func (r Recipe) Validate() error {
	var errs []error
	for _, f := range r.fields() {
		if f.check != nil {
			if problem := f.check(); problem != "" {
				errs = append(errs, fmt.Errorf("%s %s", f.key, problem))
			}
		}
	}
	return errors.Join(append(errs, r.checkCombinations()...)...)
}

// checkCombinations checks values against each other.
func (r Recipe) checkCombinations() (errs []error) {
	for _, text := range r.Data.Where {
		_, err := where.Parse(text)
		errs = append(errs, err)
	}
	if r.Kind != coder.Probe && r.Loop.Steps == 0 && r.Loop.Epochs == 0 {
		errs = append(errs, errors.New("steps and epochs are both 0: nothing would be trained"))
	}
	switch r.Kind {
	case coder.SAE:
		errs = append(errs, r.SAE.problems()...)
	case coder.VQ:
		errs = append(errs, r.VQ.problems(r.Loop)...)
	case coder.Probe:
		errs = append(errs, r.Probe.problems()...)
	}
	return errs
}

// Resolve replaces what the kind of coder and the data decide: steps from epochs over so many rows; of an autoencoder of
// vectors of length d aux_k, dead_tokens and lr; of a tokenizer ids, codes and lr.
func (r *Recipe) Resolve(d int, rows int64) {
	if r.Loop.Epochs > 0 {
		perEpoch := (rows + int64(r.Loop.Batch) - 1) / int64(r.Loop.Batch)
		r.Loop.Steps = int(perEpoch) * r.Loop.Epochs
	}
	switch r.Kind {
	case coder.SAE:
		r.SAE.resolve(&r.Loop, d)
	case coder.VQ:
		r.VQ.resolve(&r.Loop)
	}
}

// Prefetch is the number of batches read ahead.
const Prefetch = 2

// Stream is how a column is read for one side of the holdout. Held-out sinks are kept, and marked.
func (r Recipe) Stream(column string, side stream.Side) stream.Config {
	d := r.Data
	if side == stream.Heldout {
		d.Sinks = stream.KeepSinks // an evaluation tells them from ordinary rows
	}
	return stream.Config{Column: column, Beside: r.Beside(), Batch: r.Loop.Batch, ShuffleWindow: d.ShuffleWindow, Span: d.Span, Seed: d.Seed, Prefetch: Prefetch,
		MaxNorm: d.MaxNorm, Sinks: d.Sinks, FailNonFinite: d.NonFinite == failAtRows,
		Filter: stream.Filter{Tokens: d.Tokens, Where: d.Where, Side: side,
			Holdout: stream.Holdout{Fraction: d.Holdout, By: d.HoldoutBy}}}
}

// Beside are the columns that stand behind a training's own in a row: what a transcoder predicts, or the others that a
// crosscoder sees.
func (r Recipe) Beside() []string {
	switch {
	case r.Kind != coder.SAE:
		return nil
	case r.SAE.Target != "":
		return []string{r.SAE.Target}
	}
	return slices.Clone(r.SAE.Beside)
}
