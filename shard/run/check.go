package run

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// CheckOptions tune Check.
type CheckOptions struct {
	// Progress, if any, is told how many bytes are read of how many, from one goroutine at a time.
	Progress func(done, total int64)
	// Positions are the kept positions of the prompts lo ≤ row < hi, as the prompts of the run have them. A plan needs it
	// whose token rule depends on the data; it may be called from several goroutines at once.
	Positions func(lo, hi int64) ([][]int32, error)
}

// Report is what Check found.
type Report struct {
	PlanID    string   `json:"plan_id"`
	Units     int      `json:"units"`          // of the plan
	Committed int      `json:"committed"`      // shards that are there
	Gone      int      `json:"gone,omitempty"` // shards of a ring that every reader has read
	Missing   []int    `json:"missing"`        // units without a shard
	Complete  bool     `json:"complete"`       // the run has a manifest
	Rows      int64    `json:"rows"`
	Bytes     int64    `json:"bytes"`
	Damage    []string `json:"damage"` // one line each: which object, what is wrong

	Readers []ReaderReport `json:"readers,omitempty"` // of a ring
}

// Sound reports whether nothing is damaged. A run that is not complete may be sound.
func (r Report) Sound() bool { return len(r.Damage) == 0 }

// maxDamage is the most lines about one shard.
const maxDamage = 8

// Check reads a whole run, with all cores, and verifies that
//
//   - every shard belongs to the plan, and its size, row count and SHA-256 are those of the manifest, if there is one;
//   - every data row of a unit has exactly the positions that the token rule gives for its n_tokens, or that the prompts
//     of the run say, each once, and no other row is there;
//   - every page header is intact and every vector finite;
//   - the statistics in the footer are those of the stored values, to the last bit;
//   - nothing else lies among the shards;
//   - of a ring: every unit is there, or gone with all that its readers put; what each reader acknowledged are the rows of
//     the unit, each once;
//   - no node made another shard of a unit (DivergedKey) than the committed one.
//
// Damage is in the report. The error says that checking itself was not possible: no plan, an unreachable store.
func Check(ctx context.Context, st store.Store, opt CheckOptions) (Report, error) {
	p, err := ReadPlan(ctx, st)
	if err != nil {
		return Report{}, err
	}
	c := &checker{store: st, plan: p, report: Report{PlanID: p.ID(), Units: p.NumUnits()}, progress: opt.Progress, positions: opt.Positions}
	if c.rule, err = tap.ParseRule(p.Tokens); err != nil {
		return Report{}, err
	}
	if c.rule.FromData() && c.positions == nil {
		return Report{}, fmt.Errorf("check a run with the token rule %s: its prompts must be read as well", c.rule)
	}
	if err := c.readManifest(ctx); err != nil {
		return Report{}, err
	}
	sizes, err := c.list(ctx)
	if err != nil {
		return Report{}, err
	}
	if err = c.units(ctx, sizes); err == nil && p.Ring != nil {
		err = c.checkRing(ctx)
	}
	if err == nil {
		err = c.rivals(ctx)
	}
	slices.Sort(c.report.Damage)
	return c.report, err
}

// rivals reports the units whose shard is disputed.
func (c *checker) rivals(ctx context.Context) error {
	found, err := Rivals(ctx, c.store, c.plan)
	for _, r := range found {
		c.damage(UnitKey(r.Unit), "%s", r)
	}
	return err
}

// checker holds what the goroutines of one Check share.
type checker struct {
	store     store.Store
	plan      Plan
	rule      tap.Rule
	manifest  map[string]UnitFile // nil without one
	progress  func(done, total int64)
	positions func(lo, hi int64) ([][]int32, error)
	ring      *RingState
	tallies   []*Tally // by unit, of a ring's shards and tombstones

	mu     sync.Mutex
	done   int64
	report Report
}

func (c *checker) damage(key, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Damage = append(c.report.Damage, key+": "+fmt.Sprintf(format, args...))
}

func (c *checker) readManifest(ctx context.Context) error {
	m, err := ReadManifest(ctx, c.store)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case errors.Is(err, shard.ErrCorrupt):
		c.damage(KeyManifest, "%v", err)
		return nil
	case err != nil:
		return err
	}
	c.report.Complete = true
	c.manifest = map[string]UnitFile{}
	if m.PlanID != c.report.PlanID || len(m.Units) != c.report.Units {
		c.damage(KeyManifest, "lists %d units of plan %.12s, the plan is %.12s with %d", len(m.Units), m.PlanID, c.report.PlanID, c.report.Units)
	}
	for _, u := range m.Units {
		c.manifest[u.Key] = u
	}
	return nil
}

// list finds the shards, and what lies among them.
func (c *checker) list(ctx context.Context) (sizes []int64, err error) {
	infos, err := c.store.List(ctx, "acts/")
	if err != nil {
		return nil, err
	}
	if c.ring, err = LookRing(ctx, c.store, c.plan); err != nil {
		return nil, err
	}
	c.tallies = make([]*Tally, c.report.Units)
	sizes = make([]int64, c.report.Units)
	for u := range sizes {
		sizes[u] = -1
	}
	for _, info := range infos {
		u, ok := ParseUnitKey(info.Key)
		if !ok || u >= len(sizes) {
			c.damage(info.Key, "belongs to no unit of the plan; readers that take every file would read it")
			continue
		}
		sizes[u] = info.Size
		c.report.Committed++
		c.report.Bytes += info.Size
	}
	for u, size := range sizes {
		if size < 0 && !c.ring.gone[u] {
			c.missing(u)
		}
	}
	return sizes, nil
}

func (c *checker) missing(u int) {
	c.report.Missing = append(c.report.Missing, u)
	if c.report.Complete {
		c.damage(UnitKey(u), "is gone, the manifest lists it")
	}
}

func (c *checker) units(ctx context.Context, sizes []int64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for u, size := range sizes {
		if size < 0 {
			continue
		}
		g.Go(func() error {
			err := c.unit(ctx, u)
			switch {
			case shard.IsDamage(err):
				c.damage(UnitKey(u), "%v", err)
				return nil
			case errors.Is(err, store.ErrNotFound) && errors.Is(Gone(ctx, c.store, c.plan, u), ErrGone):
				c.ring.there[u], c.ring.gone[u] = false, true // since the list
				return nil
			}
			return err
		})
	}
	return g.Wait()
}
