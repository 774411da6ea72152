package trainer

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"actfleet/trainer/probe"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream/where"
	"actfleet/trainer/vq"
)

// Config is everything that decides what a training gives, apart from the data.
// Its keys, in files and on the command line, are those of fields.
type Config struct {
	// What is read.
	Tokens    string
	Where     []string
	Holdout   float64
	HoldoutBy string
	Window    int
	Span      int
	MaxNorm   float64
	NonFinite string
	DataSeed  uint64
	Seed      uint64

	// The loop.
	Batch, Micro               int
	Steps, Epochs              int
	LR, Warmup, Cooldown, Clip float64
	InitRows                   int
	EvalRows, EvalSteps        int
	LogSteps, CheckpointSteps  int
	CheckpointMinutes          float64
	CheckpointKeep             int

	Arch string // of autoencoders and tokenizers
	saeConfig

	// Tokenizers.
	Codes, Ids             int
	Levels                 []float64
	Hidden, CodeWidth      int
	Loss                   string
	Decay, Beta, DeadShare float64
	KMeansSteps            int

	// Probes.
	Kinds               []string
	L2                  []float64
	Label, Group, Split string
	MaxIter, Directions int
}

// Kinds of coders.
const (
	SAE   = "sae"
	VQ    = "vq"
	Probe = "probe"
)

// What non_finite may be.
const (
	dropRows   = "drop"
	failAtRows = "fail"
)

// Auto, as the value of aux_k and dead_tokens, lets the data decide; the effective
// Config holds the number that was taken.
const Auto = -1

// Default is the Config of a kind. It trains about a million rows, for example 20
// epochs of 50,000: under a minute on two cores at width 256.
func Default(kind string) Config {
	c := Config{Tokens: "all", Holdout: 0.05, HoldoutBy: "auto", Window: 64, Span: 64, NonFinite: dropRows,
		Batch: 2048, Micro: 1024, Steps: 500, Warmup: 0.05, Cooldown: 0.2, Clip: 1,
		InitRows: 8192, EvalRows: 16384, EvalSteps: 100, LogSteps: 10, CheckpointSteps: 100, CheckpointKeep: 2,
		Arch: string(sae.TopK), saeConfig: defaultSAE(),
		Codes: 512, Ids: Auto, Levels: []float64{8, 5, 5, 5}, Hidden: 256, CodeWidth: 64, Loss: string(vq.MSE), Decay: 0.95, Beta: 0.25, DeadShare: 0.1, KMeansSteps: 5,
		Kinds: []string{probe.Logistic, probe.MassMean}, L2: []float64{1e-3, 1e-2, 1e-1, 1}, Label: "label", Group: "group", Split: "split",
		MaxIter: 1000, Directions: 100}
	switch kind {
	case VQ:
		c.Arch = string(vq.EMA)
	case Probe:
		c.Tokens, c.Holdout = "last", 0
	}
	return c
}

// field is one key of a Config.
type field struct {
	key   string
	kinds string // the kinds that have it, separated by spaces
	value any    // pointer into the Config
	check func() string
	help  string
}

const (
	anyKind = "sae vq probe"
	learned = "sae vq"
)

// fields lists the keys in the order they are shown.
func (c *Config) fields() []field {
	return append([]field{
		{"tokens", anyKind, &c.Tokens, nil, "token rule: last, all, every:N, pos:N"},
		{"where", anyKind, &c.Where, nil, "conditions such as \"label = 1 and pos > 0\"; of several all must hold"},
		{"seed", anyKind, &c.Seed, nil, "of all that is drawn but the order of rows"},
		{"data_seed", learned, &c.DataSeed, nil, "of the order of rows"},
		{"holdout", learned, &c.Holdout, within(&c.Holdout, 0, 0.9), "share of the data kept for evaluation, the same for every seed and run"},
		{"holdout_by", learned, &c.HoldoutBy, nil, "column whose equal values stay together; auto is group, else row"},
		{"window", learned, &c.Window, atLeast(&c.Window, 1), "row groups mixed together"},
		{"span", learned, &c.Span, atLeast(&c.Span, 0), "units mixed with each other, and waited for with --follow; 0 is all"},
		{"max_norm", learned, &c.MaxNorm, within(&c.MaxNorm, 0, 1e9), "leaves out rows whose norm is above so many times the root mean square norm of their unit; 0 is none"},
		{"non_finite", learned, &c.NonFinite, oneOf(&c.NonFinite, dropRows, failAtRows), "rows with a value that is not finite: drop (and count) or fail"},
		{"batch", learned, &c.Batch, atLeast(&c.Batch, 1), "rows of an optimizer step"},
		{"micro", learned, &c.Micro, atLeast(&c.Micro, 1), "rows computed at once; changes memory, not the result"},
		{"steps", learned, &c.Steps, atLeast(&c.Steps, 0), "optimizer steps; 0 when epochs decides"},
		{"epochs", learned, &c.Epochs, atLeast(&c.Epochs, 0), "passes over the data, instead of steps"},
		{"init_rows", learned, &c.InitRows, atLeast(&c.InitRows, 2), "rows looked at before the first step"},
		{"eval_rows", learned, &c.EvalRows, atLeast(&c.EvalRows, 1), "held-out rows of an evaluation"},
		{"eval_steps", learned, &c.EvalSteps, atLeast(&c.EvalSteps, 1), "steps between evaluations"},
		{"log_steps", learned, &c.LogSteps, atLeast(&c.LogSteps, 1), "steps between lines of metrics.jsonl"},
		{"checkpoint_steps", learned, &c.CheckpointSteps, atLeast(&c.CheckpointSteps, 1), "steps between checkpoints"},
		{"checkpoint_minutes", learned, &c.CheckpointMinutes, within(&c.CheckpointMinutes, 0, 1e6), "also a checkpoint when so many minutes have passed; 0 is never"},
		{"checkpoint_keep", learned, &c.CheckpointKeep, atLeast(&c.CheckpointKeep, 1), "checkpoints kept"},
		{"lr", SAE, &c.LR, within(&c.LR, 0, 1e3), "learning rate; 0 is 4e-3·√(2048/width), a quarter of it for signsgd, 4 times for adafactor, 5000 times for sgd"},
		{"warmup", learned, &c.Warmup, within(&c.Warmup, 0, 1), "share of the steps over which the rate rises"},
		{"cooldown", learned, &c.Cooldown, within(&c.Cooldown, 0, 1), "share of the steps over which the rate falls to 0"},
		{"clip", learned, &c.Clip, within(&c.Clip, 0, 1e9), "limit of the gradient's norm, of an autoencoder where errors are summed over a vector of mean square 1, so that 1 nearly always limits; 0 is none"},
		{"arch", VQ, &c.Arch, nil, vq.ArchNames()},
		{"codes", VQ, &c.Codes, atLeast(&c.Codes, 2), "values of an id, the entries of a codebook; with fsq the product of levels"},
		{"ids", VQ, &c.Ids, atLeast(&c.Ids, Auto), "ids of a row: codebooks of residual and product, pieces of iris and fsq; -1 is 1 for ema and gradient, else 4"},
		{"levels", VQ, &c.Levels, nil, "levels of an id's values, with fsq"},
		{"hidden", VQ, &c.Hidden, atLeast(&c.Hidden, 0), "units in the hidden layers of encoder and decoder, with iris and fsq; 0 makes them linear"},
		{"code_width", VQ, &c.CodeWidth, atLeast(&c.CodeWidth, 1), "length of a code, with iris"},
		{"loss", VQ, &c.Loss, oneOf(&c.Loss, vq.Losses...), "of the reconstruction, with iris and fsq: mse; symlog, of sgn(x)·ln(1+|x|); two_hot, cross entropy over 255 bins of that (takes 255 times the outputs)"},
		{"lr", VQ, &c.LR, within(&c.LR, 0, 1), "learning rate of Adam with gradient, iris and fsq; 0 is 2e-2 for gradient, else 5e-3"},
		{"decay", VQ, &c.Decay, within(&c.Decay, 1e-9, 1-1e-9), "of the moving averages"},
		{"beta", VQ, &c.Beta, within(&c.Beta, 0, 1e3), "weight of the commitment loss, with iris; else in the printed loss only"},
		{"dead_share", VQ, &c.DeadShare, within(&c.DeadShare, 0, 1), "share of the mean use below which a code is dead and becomes a row of the batch; 0 is never"},
		{"kmeans_steps", VQ, &c.KMeansSteps, atLeast(&c.KMeansSteps, 1), "k-means steps before the first optimizer step"},
		{"kinds", Probe, &c.Kinds, nil, "logistic (regression), mass_mean"},
		{"l2", Probe, &c.L2, nil, "penalties tried; the validation split chooses"},
		{"label", Probe, &c.Label, nil, "column with the label, 0 or 1"},
		{"group", Probe, &c.Group, nil, "column whose equal values may not cross splits"},
		{"split", Probe, &c.Split, nil, "column with train, val or test; without it groups are split by hash"},
		{"max_iter", Probe, &c.MaxIter, atLeast(&c.MaxIter, 1), "iterations before a fit counts as not converged"},
		{"directions", Probe, &c.Directions, atLeast(&c.Directions, 0), "random directions of the baseline"},
	}, c.saeFields()...)
}

func atLeast(v *int, least int) func() string {
	return func() string {
		if *v < least {
			return fmt.Sprintf("is %d, must be at least %d", *v, least)
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

// of are the fields of a kind.
func (c *Config) of(kind string) []field {
	return slices.DeleteFunc(c.fields(), func(f field) bool { return !slices.Contains(strings.Fields(f.kinds), kind) })
}

// Keys lists the keys of a kind with their meaning, for help texts.
func Keys(kind string) (keys [][2]string) {
	c := Default(kind)
	for _, f := range c.of(kind) {
		keys = append(keys, [2]string{f.key, fmt.Sprintf("%s (%v)", f.help, show(f.value))})
	}
	return keys
}

// LoadConfig is the default of a kind, changed by a YAML file (none when path is
// empty) and then by settings "key=value". All problems are reported at once.
func LoadConfig(kind, path string, sets []string) (Config, error) {
	c := Default(kind)
	if !slices.Contains(strings.Fields(anyKind), kind) {
		return c, fmt.Errorf("unknown kind of coder %q: want %s", kind, strings.ReplaceAll(anyKind, " ", ", "))
	}
	var errs []error
	if path != "" {
		values, err := readYAML(path)
		if err != nil {
			return c, err
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if err := c.set(kind, key, values[key]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
			}
		}
	}
	for _, s := range sets {
		errs = append(errs, c.setText(kind, s))
	}
	errs = append(errs, c.Validate(kind))
	return c, errors.Join(errs...)
}

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

func readYAML(path string) (map[string]any, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("read config %s: %d bytes are more than %d", path, info.Size(), maxConfig)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read config %s: %s", path, strings.ReplaceAll(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n", " "))
	}
	return values, nil
}

// Validate reports every value that a kind cannot have.
func (c Config) Validate(kind string) error {
	var errs []error
	for _, f := range c.of(kind) {
		if f.check != nil {
			if problem := f.check(); problem != "" {
				errs = append(errs, fmt.Errorf("%s %s", f.key, problem))
			}
		}
	}
	return errors.Join(append(errs, c.together(kind))...)
}

// together checks values against each other.
func (c Config) together(kind string) error {
	var errs []error
	for _, text := range c.Where {
		_, err := where.Parse(text)
		errs = append(errs, err)
	}
	if kind != Probe && c.Steps == 0 && c.Epochs == 0 {
		errs = append(errs, errors.New("steps and epochs are both 0: nothing would be trained"))
	}
	if kind == SAE {
		errs = append(errs, c.saeProblems()...)
	}
	if kind == VQ {
		errs = append(errs, c.tokenizerProblems()...)
	}
	if kind == Probe {
		errs = append(errs, c.probeProblems()...)
	}
	return errors.Join(errs...)
}

func (c Config) probeProblems() (errs []error) {
	for _, k := range c.Kinds {
		if k != probe.Logistic && k != probe.MassMean {
			errs = append(errs, fmt.Errorf("kinds: unknown probe %q: want %s, %s", k, probe.Logistic, probe.MassMean))
		}
	}
	if len(c.Kinds) == 0 || len(c.L2) == 0 {
		errs = append(errs, errors.New("kinds and l2 must not be empty"))
	}
	for _, v := range c.L2 {
		if !(v >= 0 && v < 1e9) {
			errs = append(errs, fmt.Errorf("l2: %v is not a penalty", v))
		}
	}
	return errs
}
