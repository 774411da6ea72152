package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"actfleet/analysis/evaluate"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// AddRun appends the header, the timeline and the norms of a run. A unit that
// cannot be read becomes a note, as it does not keep the others from being
// shown. Only footers are read, never activations.
func (r *Report) AddRun(ctx context.Context, st store.Store) error {
	plan, err := run.ReadPlan(ctx, st)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("report on %s: no plan.json there: is it the directory of a run?", st)
	}
	if err != nil {
		return fmt.Errorf("report on %s: %w", st, err)
	}
	fleet, err := LoadTimeline(ctx, st)
	if err != nil {
		return fmt.Errorf("report on %s: %w", st, err)
	}
	units, damaged, stray, err := readUnits(ctx, st, plan)
	if err != nil {
		return fmt.Errorf("report on %s: %w", st, err)
	}
	if len(damaged) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: damaged and left out: %d. %s. Run check.", runName(st), len(damaged), briefly(damaged)))
	}
	if len(stray) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: of no unit of the plan and left out: %s.", runName(st), briefly(stray)))
	}
	header := runOf(st, plan, units, fleet)
	if header.Gone > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s is a ring: the rows of %d of its %d units are gone, which every reader has acknowledged; rows, bytes and norms are of the others.", runName(st), header.Gone, header.Units))
	}
	header.Damaged = len(damaged)
	r.Runs = append(r.Runs, header)
	r.Timelines = append(r.Timelines, fleet)
	r.Norms = append(r.Norms, Norms{Name: runName(st), Columns: normsFrom(plan, units)})
	return nil
}

// AddProbes appends the sweep of a probe folder.
func (r *Report) AddProbes(dir string) error {
	switch t, err := evaluate.ReadTransfer(dir); {
	case err == nil:
		return r.addTransfer(dir, t)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s, err := LoadProbes(dir)
	if err != nil {
		return err
	}
	r.Probes = append(r.Probes, s)
	return nil
}

// addTransfer appends a matrix of runs, and the probes of each.
func (r *Report) addTransfer(dir string, t evaluate.Transfer) error {
	r.Transfers = append(r.Transfers, Transfer{baseName(dir), t})
	for _, name := range t.Runs {
		if name == "" || name == "." || filepath.Base(name) != name || !filepath.IsLocal(name) {
			return fmt.Errorf("read %s: %s: %.60q is no folder in it", dir, evaluate.TransferFile, name)
		}
		s, err := LoadProbes(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		r.Probes = append(r.Probes, s)
	}
	return nil
}

// AddCoder appends the training curves of a coder's folder and what was measured of it.
func (r *Report) AddCoder(dir string) error {
	c, err := LoadCoder(dir)
	if err != nil {
		return err
	}
	r.Coders = append(r.Coders, c)
	return nil
}

// unitFacts is what a shard's footer says.
type unitFacts struct {
	read  bool
	gone  bool // deleted from a ring
	rows  int64
	bytes int64
	stats []shard.VectorStats // per vector of the plan
}

// briefly joins lines, the first few of many.
func briefly(lines []string) string {
	const most = 8
	if n := len(lines); n > most {
		lines = append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(lines, "; ")
}

// readUnits reads the footers of the committed units, several at a time. What is damaged by its size or its footer, and
// what lies among the shards and is none, comes back in lines.
func readUnits(ctx context.Context, st store.Store, plan run.Plan) (units []unitFacts, damaged, stray []string, err error) {
	s, err := run.Look(ctx, st, plan)
	if err != nil {
		return nil, nil, nil, err
	}
	units = make([]unitFacts, len(s.Units))
	failed := make([]error, len(s.Units))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for u, state := range s.Units {
		units[u].gone = state == run.Deleted
		if state == run.Present {
			g.Go(func() error {
				units[u], failed[u] = readUnit(ctx, st, plan, u)
				units[u].bytes = s.Bytes[u]
				return ctx.Err()
			})
		}
	}
	err = g.Wait()
	for u, err := range failed {
		if err != nil {
			s.Damaged = append(s.Damaged, fmt.Sprintf("%s: %v", run.UnitKey(u), err))
		}
	}
	return units, s.Damaged, s.Stray, err
}

func readUnit(ctx context.Context, st store.Store, plan run.Plan, u int) (unitFacts, error) {
	s, err := shard.Open(ctx, st, run.UnitKey(u))
	if err != nil {
		return unitFacts{}, err
	}
	defer s.Close()
	if id := s.Identity(); id != plan.Identity(u) {
		return unitFacts{}, fmt.Errorf("it says it is unit %d of plan %.12s", id.Unit, id.PlanID)
	}
	if !plan.Fits(s.Schema()) {
		return unitFacts{}, errors.New("it has other columns than the plan")
	}
	f := unitFacts{read: true, rows: s.NumRows()}
	for c := range plan.Vectors {
		f.stats = append(f.stats, s.Stats(c))
	}
	return f, nil
}

func runOf(run store.Store, p run.Plan, units []unitFacts, fleet Fleet) Run {
	r := Run{
		Name: runName(run), PlanID: p.ID(), Model: p.Model.Name, Data: p.Data.Name, Template: p.Template, Tokens: p.Tokens, Dtype: p.Dtype, Compute: joinWords(p.Compute, p.Device),
		Layers: layerRanges(p.Layers), DataRows: p.Data.Rows, Units: p.NumUnits(),
	}
	if p.Model.Arch != "" {
		r.Model += " (" + p.Model.Arch + ")"
	}
	for _, a := range p.Adapters {
		r.Adapters = append(r.Adapters, a.Name)
	}
	var sites []string
	for _, s := range p.Sites {
		sites = append(sites, string(s))
	}
	r.Sites = strings.Join(sites, ", ")
	for _, u := range units {
		if u.read {
			r.Committed, r.Rows, r.Bytes = r.Committed+1, r.Rows+u.rows, r.Bytes+u.bytes
		}
		if u.gone {
			r.Gone++
		}
	}
	for _, n := range fleet.Nodes {
		if r.Started.IsZero() || n.Start.Before(r.Started) {
			r.Started = n.Start
		}
		if n.End.After(r.Ended) {
			r.Ended = n.End
		}
	}
	return r
}

func normsFrom(p run.Plan, units []unitFacts) (out []Norm) {
	for c, v := range p.Vectors {
		t, variant, ok := tap.ParseColumn(v.Name)
		if !ok || v.Dtype == shard.I32 { // numbers have no norm
			continue
		}
		var sum shard.VectorStats
		for _, u := range units {
			if u.read {
				sum.Merge(u.stats[c])
			}
		}
		if sum.Count > 0 {
			out = append(out, Norm{Site: string(t.Site), Layer: t.Layer, Variant: variant, Width: v.Width,
				RMS: math.Sqrt(sum.SumSq / float64(sum.Count)), MaxAbs: sum.MaxAbs, Bad: sum.NonFinite + sum.Overflow})
		}
	}
	return out
}

func runName(run store.Store) string { return path.Base(run.String()) }

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " on ")
}

// layerRanges writes ascending layers as "0–3, 7, 9–11".
func layerRanges(layers []int) string {
	return strings.NewReplacer("-", "–", ",", ", ").Replace(tap.FormatLayers(layers))
}
