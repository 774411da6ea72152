package trainer

import (
	"fmt"
	"math"

	"actfleet/trainer/vq"
)

// tokenizer is the part of a Config that a tokenizer is made from.
func (c Config) tokenizer() vq.Config {
	out := vq.Config{Arch: vq.Arch(c.Arch), Codes: c.Codes, Ids: c.Ids, Hidden: c.Hidden, Width: c.CodeWidth, Loss: vq.Loss(c.Loss),
		Decay: c.Decay, Beta: c.Beta, DeadShare: c.DeadShare, KMeansSteps: c.KMeansSteps, Clip: c.Clip, Batch: c.Batch, Seed: c.Seed}
	for _, l := range c.Levels {
		out.Levels = append(out.Levels, int(l))
	}
	return out
}

// resolveTokenizer replaces what the architecture of a tokenizer decides.
func (c *Config) resolveTokenizer() {
	usual := vq.Arch(c.Arch).Defaults()
	if c.Ids == Auto {
		c.Ids = usual.Ids
	}
	if c.LR == 0 {
		c.LR = usual.LR
	}
	if dims, err := c.tokenizer().Dims(max(c.Ids, 1)); err == nil { // of codes only
		c.Codes = dims.Codes
	}
}

// tokenizerProblems checks a tokenizer's values against each other.
func (c Config) tokenizerProblems() (errs []error) {
	v := c.tokenizer()
	if _, err := vq.ParseArch(c.Arch); err != nil {
		return []error{fmt.Errorf("arch: %w", err)}
	}
	for _, l := range c.Levels {
		if l != math.Trunc(l) || math.Abs(l) > 1<<30 {
			return []error{fmt.Errorf("levels: %v is not a whole number", l)}
		}
	}
	if v.Ids == Auto {
		c.resolveTokenizer()
		v = c.tokenizer()
	}
	dims, err := v.Dims(max(v.Ids, 1)) // the vectors' length comes later
	if err != nil {
		return []error{err}
	}
	if need := v.MinSample(dims); c.InitRows < need {
		errs = append(errs, fmt.Errorf("init_rows is %d, must be at least %d for codes=%d", c.InitRows, need, dims.Codes))
	}
	return errs
}

// loadTokenizer loads the tokenizer of a folder.
func loadTokenizer(path string, c Coder) (vq.Coder, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return vq.Load(path, c.DIn, cfg.tokenizer())
}

// tokenizerBytes is what a tokenizer of rows of d values takes in training, with so many rows computed at once.
func (c Config) tokenizerBytes(d, rows int64) int64 {
	c.resolveTokenizer()
	v := c.tokenizer()
	return v.Memory(vq.Dims{Row: int(d), Ids: c.Ids, Codes: c.Codes}, rows, int64(c.InitRows))
}
