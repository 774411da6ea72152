package collector

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"actfleet/shard/tap"
)

// Bare runs every batch of the plan through every block, in the same lanes, and keeps nothing: what
// Collect would cost if tapping and writing were free.
func Bare(ctx context.Context, cfg Config) error {
	us, err := newUnits(cfg)
	if err != nil {
		return err
	}
	defer us.close()
	us.taps = []tap.Tap{{Site: tap.Resid, Layer: cfg.Model.Info().Layers - 1}}
	running, ctx := errgroup.WithContext(ctx)
	for u := range us.plan.NumUnits() {
		in, err := us.rows(u)
		if err != nil {
			return errors.Join(err, running.Wait())
		}
		work := us.batches(u, in)
		p, err := us.share(ctx, work, in)
		if err != nil {
			return errors.Join(err, running.Wait())
		}
		for _, b := range work {
			us.lanes.enter()
			p.join()
			running.Go(func() error {
				defer us.lanes.leave()
				defer p.leave()
				_, err := us.forward(ctx, in, b, p, nil)
				return err
			})
		}
		p.leave()
	}
	return running.Wait()
}
