package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"actfleet/analysis/evaluate"
	"actfleet/internal/outfile"
	"actfleet/shard/tap"
	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/probe"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

func newTrainProbe() *cobra.Command {
	var o probeOptions
	var labels []string
	var position string
	c := &cobra.Command{
		Use:   "probe --from RUN --sites all --layers all --out DIR",
		Short: "Fit truth probes, by default on last tokens: one of each kind per site and layer",
		Long: `Splits come from the data set's column split, else from a hash of the group; a group, a
prompt or many similar prompts in two splits are refused. Every result comes with its baselines and an interval clustered by group. The scores of all
rows are written back into the run, as a view in SQL.
Keys for --set and the -f file, with their defaults:
` + keyList(coder.Probe) + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if len(labels) > 0 {
				o.set = append(o.set, "label_map="+strings.Join(labels, ","))
			}
			if position != "" {
				o.set = append(o.set, "position="+position)
			}
			if o.transfer {
				return runTransfer(c.Context(), o, c.OutOrStdout())
			}
			return runTrainProbe(c.Context(), o, c.OutOrStdout())
		},
	}
	o.flags(c.Flags())
	c.Flags().StringSliceVar(&labels, "label-map", nil, "what labels other than 0 and 1 mean, such as lie=0,honest=1; sets the key label_map")
	c.Flags().BoolVar(&o.noCodes, "no-codes", false, "do not write the scores back into the run")
	c.Flags().Var((*pathList)(&o.test), "test", "other runs, each a split that is only measured on, never fitted; rows whose group is also in train or val are left out")
	c.Flags().StringVar(&position, "position", "", "vector of a prompt: last, or the mean or max over its positions; sets the key position")
	c.Flags().BoolVar(&o.transfer, "transfer", false, "fit on each run of --from alone, and measure each fit on all the others")
	return c
}

// probeOptions are the flags of train probe.
type probeOptions struct {
	trainOptions
	test     []string // runs that nothing is fitted on
	transfer bool
	noCodes  bool
}

func runTrainProbe(ctx context.Context, o probeOptions, out io.Writer) error {
	began := time.Now()
	table, err := fitProbes(ctx, o)
	if err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, table)
	}
	return printProbes(out, table, o.out, time.Since(began))
}

// fitProbes fits, measures and writes everything but what is printed.
func fitProbes(ctx context.Context, o probeOptions) (table evaluate.Table, err error) {
	frozen, err := runNames(o.test)
	if err != nil {
		return table, err
	}
	o.from = slices.Concat(o.from, o.test)
	cfg, runs, taps, err := o.load(ctx, coder.Probe)
	if err != nil {
		return table, err
	}
	var columns []string
	for _, t := range taps {
		columns = append(columns, o.column(runs[0].Plan, t))
	}
	random := &randomBaseline{directions: cfg.Probe.Directions, seed: cfg.Seed}
	splits := &splitCheck{runs: runs, near: cfg.Probe.NearDuplicates, auto: cfg.Probe.Group == probe.Auto, warn: os.Stderr}
	job := trainer.ProbeJob{Dir: o.out, Runs: runs, Frozen: frozen, Columns: columns, Recipe: cfg, Program: version(),
		Check: func(rows *probe.Rows) error { return splits.check(ctx, rows) }, Each: random.add}
	if err := checkPrimary(cfg.Probe, columns); err != nil {
		return table, err
	}
	rep, card, err := trainer.FitProbes(ctx, job)
	if err != nil {
		return table, err
	}
	if table, err = probeTable(rep, cfg.Probe.Label, runs, cfg.Seed); err != nil {
		return table, err
	}
	table.PlanIDs, table.Near = card.PlanIDs, splits.found
	table.Baselines = append(table.Baselines, random.worst()...)
	if err := measureChosen(ctx, job, rep, &table); err != nil {
		return table, err
	}
	if err := writeResult(o.out, evaluate.ResultsFile, table); err != nil {
		return table, err
	}
	if o.noCodes || cfg.Probe.Position != probe.Last { // the latter has no score of a row
		return table, nil
	}
	return table, encodeAll(ctx, o.out, runs)
}

// measureChosen adds what is measured of one probe alone: the one declared primary, or else chosen on val.
func measureChosen(ctx context.Context, job trainer.ProbeJob, rep *probe.Report, t *evaluate.Table) error {
	t.Primary = job.Recipe.Probe.Primary
	if err := addClaims(ctx, job, rep, t); err != nil {
		return err
	}
	t.Calibration = calibrated(rep, *t)
	return nil
}

// checkPrimary refuses a primary probe that is not fitted.
func checkPrimary(p recipe.Probe, columns []string) error {
	if p.Primary == "" {
		return nil
	}
	for _, kind := range p.Kinds {
		for _, column := range columns {
			if p.Primary == kind+"_"+column {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: primary: no probe %q is fitted; it is KIND_COLUMN, such as %s_%s", errUsage, p.Primary, p.Kinds[0], columns[0])
}

// runNames are the last parts of the runs' paths, as splits are called after them.
func runNames(runs []string) (names []string, err error) {
	for _, run := range runs {
		name := path.Base(filepath.ToSlash(run))
		if slices.Contains(names, name) || slices.Contains([]string{probe.Train, probe.Val, probe.Test, ".", "..", "/"}, name) {
			return nil, fmt.Errorf("%w: the split of the run %s would be called %q, which another is or which means something else; rename its folder", errUsage, run, name)
		}
		names = append(names, name)
	}
	return names, nil
}

func encodeAll(ctx context.Context, dir string, runs []stream.Source) error {
	for _, run := range runs {
		if _, err := encodeRun(ctx, dir, run); err != nil {
			return err
		}
	}
	return nil
}

// writeResult puts a file in place whole.
func writeResult(dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return outfile.Replace(filepath.Join(dir, name), append(data, '\n'))
}

// randomBaseline measures random directions on every column, for every split but train.
type randomBaseline struct {
	directions int
	seed       uint64
	found      map[string]evaluate.Baseline // by split: the column where they do best
}

func (r *randomBaseline) add(column string, x []float32, d int, rows *probe.Rows) error {
	if r.directions == 0 {
		return nil
	}
	if r.found == nil {
		r.found = map[string]evaluate.Baseline{}
	}
	train := features(x, d, rows, probe.Train)
	for _, split := range splitNames(rows) {
		if split == probe.Train {
			continue
		}
		b, err := evaluate.RandomDirections(train, features(x, d, rows, split), split, r.directions, r.seed)
		if err != nil {
			return fmt.Errorf("random directions on %s: %w", column, err)
		}
		// Columns come in any order, and which of equal ones is kept must not depend on it.
		old, ok := r.found[split]
		if !ok || cmp.Or(cmp.Compare(b.AUROC, old.AUROC), cmp.Compare(b.Hi, old.Hi), cmp.Compare(b.Lo, old.Lo)) > 0 {
			r.found[split] = b
		}
	}
	return nil
}

// worst are the random directions of the column where they do best: the hardest to beat.
func (r *randomBaseline) worst() (out []evaluate.Baseline) {
	for _, b := range r.found {
		out = append(out, b)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Split < out[j].Split })
	return out
}

func features(x []float32, d int, rows *probe.Rows, split string) evaluate.Features {
	at := rows.In(split)
	f := evaluate.Features{D: d, Positive: pick(rows.Label, at), X: make([]float32, 0, len(at)*d)}
	for _, r := range at {
		f.X = append(f.X, x[r*d:(r+1)*d]...)
	}
	return f
}

// bestShown is how many probes the summary lists; results.json and the report have all.
const bestShown = 5

func printProbes(out io.Writer, t evaluate.Table, dir string, took time.Duration) error {
	var best []evaluate.Probe
	for _, p := range t.Probes {
		if p.Converged {
			best = append(best, p)
		}
	}
	if len(best) == 0 {
		return errors.New("no probe converged; raise max_iter or l2")
	}
	// val chooses; test is only looked at.
	sort.SliceStable(best, func(i, j int) bool {
		return best[i].Splits[probe.Val].AUROC > best[j].Splits[probe.Val].AUROC
	})
	var splits []string
	for _, name := range t.SplitNames() {
		splits = append(splits, fmt.Sprintf("%s %d", name, t.Splits[name]))
	}
	fmt.Fprintf(out, "%s: %d probes on rows of %s in %s; %d did not converge and have no result\n", dir, len(t.Probes), strings.Join(splits, ", "), timeText(took), len(t.Probes)-len(best))
	if err := printBest(out, t, best[:min(bestShown, len(best))]); err != nil {
		return err
	}
	if err := printElsewhere(out, t, best[:min(bestShown, len(best))]); err != nil {
		return err
	}
	if err := printCalibration(out, t.Calibration); err != nil {
		return err
	}
	return printGrid(out, t, best[0].Kind)
}

// printElsewhere prints probes on the other runs, with all their rows together and the run that each does worst on.
func printElsewhere(out io.Writer, t evaluate.Table, best []evaluate.Probe) error {
	if len(t.Elsewhere) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "AUROC on other runs\t%s", strings.Join(t.Elsewhere, "\t"))
	if len(t.Elsewhere) > 1 {
		fmt.Fprint(w, "\ttogether\tworst")
	}
	for _, p := range best {
		fmt.Fprintf(w, "\n%s", p.ID)
		for _, name := range t.Elsewhere {
			m := p.Splits[name]
			fmt.Fprintf(w, "\t%s %s", defined(m.AUROC), between(m.AUROCLo, m.AUROCHi))
		}
		if m := p.Pooled; m != nil {
			fmt.Fprintf(w, "\t%s %s\t%s", defined(m.AUROC), between(m.AUROCLo, m.AUROCHi), t.Worst(p))
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// printCalibration prints what the chosen probe's probabilities are worth on the splits that nothing was fitted on.
func printCalibration(out io.Writer, c *evaluate.Calibration) error {
	if c == nil || len(c.Splits) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s, calibrated on %d groups of %s\tBrier\tECE\tPlatt ECE\t90 %% sets hold\tof one label\t1 %% FPR: recall\n", c.Probe, c.N, c.On)
	for _, split := range slices.Sorted(maps.Keys(c.Splits)) {
		s := c.Splits[split]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", split, defined(s.Methods[0].Brier), defined(s.Methods[0].ECE), defined(s.Methods[1].ECE))
		for _, sets := range s.Sets {
			if sets.Alpha == 0.1 && !sets.Mondrian {
				fmt.Fprintf(w, "\t%s\t%s", defined(sets.Coverage), defined(sets.One))
			}
		}
		if alarm := s.Alarms[0]; alarm.Threshold.Defined() {
			fmt.Fprintf(w, "\t%s\n", defined(alarm.Recall))
		} else {
			fmt.Fprintf(w, "\tneeds %d negatives\n", alarm.Needs)
		}
	}
	return w.Flush()
}

// printBest prints probes beside the baselines, and what a reader must know.
func printBest(out io.Writer, t evaluate.Table, best []evaluate.Probe) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "best on val\tval AUROC\ttest AUROC\t95 % interval\ttest accuracy")
	for _, p := range best {
		v, s := p.Splits[probe.Val], noMeasure
		if m, ok := p.Splits[probe.Test]; ok {
			s = m
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.ID, defined(v.AUROC), defined(s.AUROC), between(s.AUROCLo, s.AUROCHi), defined(s.Acc))
	}
	for _, b := range t.Baselines {
		if b.Split == probe.Test {
			fmt.Fprintf(w, "baseline: %s\t\t%s\t%s\t%s\n", b.Title(), defined(b.AUROC), between(b.Lo, b.Hi), defined(b.Acc))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range t.Claims {
		fmt.Fprintln(out, c)
	}
	for _, note := range t.Notes() {
		fmt.Fprintln(out, "note:", note)
	}
	if !slices.ContainsFunc(t.Baselines, func(b evaluate.Baseline) bool { return b.Name == evaluate.BaselineModel }) {
		fmt.Fprintln(out, "note: the model's own answer is not there to compare with: collect with --choices no,yes")
	}
	return nil
}

// noMeasure is what a split that is not there gives.
var noMeasure = evaluate.Measure{AUROC: undefined, AUROCLo: undefined, AUROCHi: undefined, Acc: undefined}

var undefined = evaluate.Value(math.NaN())

// between writes an interval, or nothing where there is none.
func between(lo, hi evaluate.Value) string {
	if !lo.Defined() || !hi.Defined() {
		return ""
	}
	return fmt.Sprintf("%.3f–%.3f", lo, hi)
}

// defined writes a number, or a dash where there is none.
func defined(v evaluate.Value) string {
	if !v.Defined() {
		return "–"
	}
	return fmt.Sprintf("%.3f", v)
}

// printGrid prints the test AUROC of one kind of probe, a line per layer and a column per site; a dash is a
// probe that did not converge, or that test rows do not tell about.
func printGrid(out io.Writer, t evaluate.Table, kind string) error {
	cells := map[tap.Tap]string{}
	var sites []tap.Site
	var layers []int
	for _, p := range t.Probes {
		if p.Kind != kind || p.Variant != "" {
			continue
		}
		cell := "–"
		if s, ok := p.Splits["test"]; ok && p.Converged {
			cell = defined(s.AUROC)
		}
		cells[tap.Tap{Site: tap.Site(p.Site), Layer: p.Layer}] = cell
		sites, layers = append(sites, tap.Site(p.Site)), append(layers, p.Layer)
	}
	slices.Sort(layers)
	slices.SortFunc(sites, tap.Site.Compare)
	sites = slices.Compact(sites)
	fmt.Fprintf(out, "test AUROC of %s probes\n", kind)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "layer")
	for _, site := range sites {
		fmt.Fprintf(w, "\t%s", site)
	}
	for _, layer := range slices.Compact(layers) {
		fmt.Fprintf(w, "\n%d", layer)
		for _, site := range sites {
			fmt.Fprintf(w, "\t%s", cells[tap.Tap{Site: site, Layer: layer}])
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}
