package collector

import (
	"context"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model"
	"actfleet/collector/model/tap"
)

// Bare runs every batch of the plan through every block, in the same lanes, and keeps nothing: what
// Collect would cost if tapping and writing were free.
func Bare(ctx context.Context, cfg Config) error {
	us, err := newUnits(cfg)
	if err != nil {
		return err
	}
	last := []tap.Tap{{Site: tap.Resid, Layer: cfg.Model.Info().Layers - 1}}
	ignore := func(int, model.View) error { return nil }
	running, ctx := errgroup.WithContext(ctx)
	for u := range us.plan.NumUnits() {
		lo, hi := us.plan.UnitRange(u)
		for _, b := range batches(us.input, int(lo), int(hi), us.plan.BatchTokens) {
			us.lanes.enter()
			running.Go(func() error {
				defer us.lanes.leave()
				_, err := us.model.Forward(ctx, model.Request{IDs: us.ids(b), Taps: last, Emit: ignore, Logits: us.choices != nil})
				return err
			})
		}
	}
	return running.Wait()
}
