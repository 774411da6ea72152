package trainer

import (
	"context"
	"errors"
	"fmt"

	"actfleet/trainer/stream"
)

// EvalOptions says what Evaluate measures.
type EvalOptions struct {
	All  bool // every row the coder's filter keeps, also those it was trained on; else the held-out ones
	Rows int  // at most so many; 0 is all of them
}

// Evaluate measures a trained coder on runs: recon's metrics, and l0, dead, dense
// for an autoencoder, perplexity, usage, entropy and commit for a tokenizer. The
// rows are those of the coder's own column, token rule and conditions.
func Evaluate(ctx context.Context, dir string, runs []stream.Source, o EvalOptions) (m map[string]float64, c Coder, err error) {
	c, err = ReadCoder(dir)
	if err != nil {
		return nil, c, err
	}
	cfg, err := c.config()
	if err != nil {
		return nil, c, fmt.Errorf("%s: %w", dir, err)
	}
	meter, err := openMeter(dir, c)
	if err != nil {
		return nil, c, err
	}
	s, err := stream.Open(ctx, runs, c.evalStream(cfg, o))
	if err != nil {
		return nil, c, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Width() != c.DIn {
		return nil, c, fmt.Errorf("%s was trained on vectors of %d, column %s here has %d", dir, c.DIn, c.Column, s.Width())
	}
	limit := o.Rows
	if limit == 0 {
		limit = int(s.Rows())
	}
	m, err = measure(ctx, s, meter, limit, cfg.Micro)
	return m, c, err
}

func (c Coder) evalStream(cfg Config, o EvalOptions) stream.Config {
	side := stream.Heldout
	if o.All || cfg.Holdout == 0 {
		side = stream.Both
	}
	return stream.Config{Column: c.Column, Batch: cfg.Batch, Window: cfg.Window, Seed: cfg.DataSeed, Prefetch: prefetch,
		Filter: stream.Filter{Tokens: cfg.Tokens, Where: cfg.Where, Side: side,
			Holdout: stream.Holdout{Fraction: cfg.Holdout, By: cfg.HoldoutBy}}}
}

// config is the effective Config that cfg.json holds.
func (c Coder) config() (Config, error) {
	cfg := Default(c.Kind)
	var errs []error
	for _, key := range sortedKeys(c.Config) {
		errs = append(errs, cfg.set(c.Kind, key, c.Config[key]))
	}
	errs = append(errs, cfg.Validate(c.Kind))
	return cfg, errors.Join(errs...)
}
