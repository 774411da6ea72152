package recipe

import (
	"fmt"
	"slices"
	"strings"

	"actfleet/trainer/stream"
)

// field is one key of a Recipe.
type field struct {
	key   string
	value any           // pointer into the Recipe
	check func() string // what is wrong with the value; "" if nothing is
	help  string
}

// renamed are keys of before by those of today.
var renamed = map[string]string{"lloyd": "kmeans_steps", "revive": "dead_share", "penalty_rise": "penalty_warmup"}

// former is what a recipe meant that has not these keys.
var former = map[string]any{"sinks": stream.KeepSinks, "target_l0": 0}

func (d *Data) fields() []field {
	return []field{
		{"data_seed", &d.Seed, nil, "random seed of the order of rows; seed is for everything else"},
		{"holdout", &d.Holdout, within(&d.Holdout, 0, 0.9), "fraction of the data held out for evaluation, the same for every seed and run"},
		{"holdout_by", &d.HoldoutBy, nil, "column whose equal values are held out together; auto is group if there is one, else row (the prompt)"},
		{"window", &d.ShuffleWindow, atLeast(&d.ShuffleWindow, 1), "shuffle window: row groups (of 512 rows) mixed together"},
		{"span", &d.Span, atLeast(&d.Span, 0), "units mixed with each other, and that --follow waits for; 0 is all"},
		{"sinks", &d.Sinks, oneOf(&d.Sinks, stream.DropSinks, stream.ClipSinks, stream.KeepSinks), "rows of extreme norm (attention sinks; a scan before the training finds them): drop, clip to the median norm, keep"},
		{"max_norm", &d.MaxNorm, within(&d.MaxNorm, 0, 1e9), "also drops rows whose norm exceeds this multiple of the median norm; 0 keeps all"},
		{"non_finite", &d.NonFinite, oneOf(&d.NonFinite, dropRows, failAtRows), "rows with NaN or infinite values: drop (and count) or fail"},
	}
}

func (l *Loop) fields() []field {
	return []field{
		{"batch", &l.Batch, atLeast(&l.Batch, 1), "rows per optimizer step"},
		{"micro", &l.Micro, atLeast(&l.Micro, 1), "micro-batch: rows computed at once; changes memory, not the result"},
		{"steps", &l.Steps, atLeast(&l.Steps, 0), "optimizer steps; 0 to use epochs"},
		{"epochs", &l.Epochs, atLeast(&l.Epochs, 0), "passes over the data, instead of steps"},
		{"init_rows", &l.InitRows, atLeast(&l.InitRows, 2), "rows sampled for initialisation"},
		{"eval_rows", &l.EvalRows, atLeast(&l.EvalRows, 1), "held-out rows per evaluation"},
		{"eval_steps", &l.EvalSteps, atLeast(&l.EvalSteps, 1), "steps between evaluations"},
		{"log_steps", &l.LogSteps, atLeast(&l.LogSteps, 1), "steps between lines in metrics.jsonl"},
		{"checkpoint_steps", &l.CheckpointSteps, atLeast(&l.CheckpointSteps, 1), "steps between checkpoints"},
		{"checkpoint_minutes", &l.CheckpointMinutes, within(&l.CheckpointMinutes, 0, 1e6), "minutes between checkpoints, in addition to checkpoint_steps; 0 is never"},
		{"checkpoint_keep", &l.CheckpointKeep, atLeast(&l.CheckpointKeep, 1), "checkpoints kept"},
		{"warmup", &l.Warmup, within(&l.Warmup, 0, 1), "fraction of the steps over which the learning rate rises linearly"},
		{"cooldown", &l.Cooldown, within(&l.Cooldown, 0, 1), "fraction of the steps over which the learning rate falls to 0"},
		{"clip", &l.Clip, within(&l.Clip, 0, 1e9), "maximum norm of the gradient; for autoencoders errors are summed over a vector of mean square 1, so that 1 clips at nearly every step; 0 is none"},
	}
}

// Numbers are bounded so that no product of two of them overflows: those of rows and steps, and the sizes of what is
// learned.
const (
	maxCount = 1 << 40
	maxSize  = 1 << 24
)

func atLeast(v *int, least int) func() string { return between(v, least, maxCount) }

func size(v *int, least int) func() string { return between(v, least, maxSize) }

func between(v *int, least, most int) func() string {
	return func() string {
		switch {
		case *v < least:
			return fmt.Sprintf("is %d, must be at least %d", *v, least)
		case *v > most:
			return fmt.Sprintf("is %d, must be at most %d", *v, most)
		}
		return ""
	}
}

func oneOf(v *string, choices ...string) func() string {
	return func() string {
		if !slices.Contains(choices, *v) {
			return fmt.Sprintf("is %q, must be %s", *v, strings.Join(choices, " or "))
		}
		return ""
	}
}

func within(v *float64, lo, hi float64) func() string {
	return func() string {
		if !(*v >= lo && *v <= hi) {
			return fmt.Sprintf("is %v, must be between %v and %v", *v, lo, hi)
		}
		return ""
	}
}

// Keys lists the keys of a kind with their meaning and default, for help texts.
func Keys(kind string) (keys [][2]string) {
	r := Default(kind)
	for _, f := range r.fields() {
		keys = append(keys, [2]string{f.key, fmt.Sprintf("%s (%v)", f.help, show(f.value))})
	}
	return keys
}
