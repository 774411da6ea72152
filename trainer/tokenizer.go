package trainer

import (
	"fmt"
	"math"

	"actfleet/trainer/coder"
	"actfleet/trainer/vq"
)

// tokenizer is the part of a Config that a tokenizer is made from.
func (c Config) tokenizer() vq.Config {
	out := vq.Config{Arch: vq.Arch(c.Arch), Codes: c.Codes, Ids: c.Ids, Hidden: c.Hidden, Width: c.CodeWidth, Loss: vq.Loss(c.Loss),
		Decay: c.Decay, Beta: c.Beta, Dead: c.Revive, Lloyd: c.Lloyd, Clip: c.Clip, Batch: c.Batch, Seed: c.Seed}
	for _, l := range c.Levels {
		out.Levels = append(out.Levels, int(l))
	}
	return out
}

// Ids of a row where several are usual, and the rates of Adam, unless a Config says
// otherwise. On the residual stream of the shipped model, 300 steps, 1e-2 was the best
// of 1e-3, 2e-3, 5e-3, 1e-2 and 2e-2 for networks, and 2e-2 far worse, so they get half
// of it; codebooks were within 1 % from 5e-3 to 5e-2.
const (
	usualIds     = 4
	codebookRate = 2e-2
	netRate      = 5e-3
)

// resolveTokenizer replaces what the kind of tokenizer decides.
func (c *Config) resolveTokenizer() {
	v := c.tokenizer()
	if c.Ids == Auto {
		c.Ids = usualIds
		if v.Arch.Single() {
			c.Ids = 1
		}
	}
	if v.Arch == vq.FSQ {
		c.Codes = 1
		for _, l := range c.Levels {
			c.Codes *= int(l)
		}
	}
	if c.LR == 0 && v.Arch.Descends() {
		c.LR = netRate
		if v.Arch == vq.Gradient {
			c.LR = codebookRate
		}
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
	if _, err := v.Dims(max(v.Ids, 1)); err != nil { // the vectors' length comes later
		errs = append(errs, err)
	}
	rows := c.InitRows
	if v.Arch == vq.IRIS {
		rows *= v.Ids
	}
	if v.Arch.Books() && rows < c.Codes {
		errs = append(errs, fmt.Errorf("init_rows is %d, must be at least codes, %d", c.InitRows, c.Codes))
	}
	return errs
}

// loadTokenizer loads the tokenizer of a folder.
func loadTokenizer(path string, c coder.Card) (vq.Coder, error) {
	cfg, err := configOf(c)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return vq.Load(path, c.DIn, cfg.tokenizer())
}

// tokenizerBytes is what a tokenizer of rows of d values takes in training: averages
// and sums of every code in 64 bits, weights with gradient and moments, and what is
// computed of the rows at once.
func (c Config) tokenizerBytes(d, rows int64) int64 {
	c.resolveTokenizer()
	v := c.tokenizer()
	k, t, sample := int64(c.Codes), int64(c.Ids), int64(c.InitRows)
	if !v.Arch.Nets() {
		books := t
		if v.Arch == vq.Product {
			books = 1 // its parts are one codebook in size
		}
		return books*k*d*(4+4*3+3*8) + rows*(k+4*d)*4 + sample*(d+k)*4
	}
	w := int64(c.CodeWidth)
	if v.Arch == vq.FSQ {
		k, w = 0, int64(len(c.Levels))
	}
	out := d * int64(v.Loss.Outputs())
	weights := int64(v.Weights(vq.Dims{Row: int(d), Ids: c.Ids, Codes: c.Codes}))
	return weights*4*4 + k*w*3*8 + rows*(t*k+4*out+6*(d+int64(c.Hidden)+t*w))*4 + sample*(d+t*(w+k))*4
}
