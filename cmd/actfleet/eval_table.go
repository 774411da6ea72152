package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/recipe"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// evalOne measures a coder and leaves the result in its folder.
func evalOne(ctx context.Context, dir string, o measure.EvalOptions, p *patched, runs []stream.Source) (measured, error) {
	if p != nil {
		h, err := p.at(dir)
		if err != nil {
			return measured{}, err
		}
		o.Model = h
	}
	e, c, err := measure.Evaluate(ctx, dir, runs, o)
	if err != nil {
		return measured{}, err
	}
	return measured{dir, c.Kind, c.Arch, c.Site, c.Layer, c.Width, boundText(c), e}, coder.SaveEvaluation(dir, e)
}

// unbound marks an autoencoder whose number of active latents follows from its penalty alone.
const unbound = "–*"

// boundText is what binds the number of active latents of an autoencoder: k of every row, k on average (of a threshold
// that is fitted to training rows), a target, or nothing.
func boundText(c coder.Card) string {
	cfg, err := recipe.Of(c)
	arch := sae.Arch(c.Arch)
	switch {
	case c.Kind != coder.SAE || err != nil:
		return ""
	case arch.Activation() == sae.ThresholdActivation:
		return fmt.Sprintf("≈%d", c.K)
	case arch.BoundByK():
		return fmt.Sprint(c.K)
	case cfg.SAE.TargetL0 > 0:
		return fmt.Sprintf("→%v", cfg.SAE.TargetL0)
	}
	return unbound
}

// boundNotes explain the texts of a table.
func boundNotes(texts ...string) (notes []string) {
	has := func(mark string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.HasPrefix(t, mark) })
	}
	if has("≈") {
		notes = append(notes, "≈ one threshold, fitted so that k latents of a training row are active on average")
	}
	if has("→") {
		notes = append(notes, "→ target_l0, towards which the penalty was moved")
	}
	if has(unbound) {
		notes = append(notes, "* k does not bind these: l0 follows from penalty, and what they lose compares with nothing of another l0; target_l0 binds them")
	}
	return notes
}

// columns of the table and lines of the list, in order; what else there is follows by name in the list.
var evalColumns = []string{"rows", "sinks", "fvu", "fvu_all", "ev", "ev_legacy", "fve_var", "l0", "dead", "under_1e-6", "under_1e-5", "dense", "perplexity", "usage",
	"cosine", "l2_ratio", "relative_bias", "prompts", "kl_score", "loss_recovered", "kl_coder", "kl_zero", "ce_clean", "ce_coder", "ce_zero"}

// wideOnly are left out of a table of several coders, which would not fit on a screen.
var wideOnly = []string{"rows", "sinks", "under_1e-6", "prompts", "ce_clean", "ce_coder", "ce_zero", "kl_coder", "kl_zero"}

func printMeasured(out io.Writer, table []measured) error {
	if len(table) == 1 {
		printOne(out, table[0])
		return nil
	}
	names := slices.DeleteFunc(namesOf(table), func(n string) bool { return slices.Contains(wideOnly, n) || !slices.Contains(evalColumns, n) })
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var bound []string
	fmt.Fprintf(w, "coder\tarch\tsite\tlayer\tk\t%s\t\n", strings.Join(names, "\t"))
	for _, m := range table {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t", baseName(m.Dir), m.Arch, m.Site, m.Layer, m.K)
		bound = append(bound, m.K)
		for _, n := range names {
			fmt.Fprintf(w, "%s%s\t", cell(m.Metrics, n), interval(m.Metrics, n, "%.3g"))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, note := range boundNotes(bound...) {
		fmt.Fprintln(out, note)
	}
	for _, m := range table {
		printNotes(out, baseName(m.Dir)+": ", m)
		if m.Densities != nil {
			fmt.Fprintf(out, "%s: %s\n", baseName(m.Dir), densityText(*m.Densities))
		}
	}
	return nil
}

// printNotes says of metrics why they are missing, or what they do not mean.
func printNotes(out io.Writer, before string, m measured) {
	for _, name := range slices.Sorted(maps.Keys(m.Notes)) {
		fmt.Fprintf(out, "%s%s %s: %s\n", before, name, cell(m.Metrics, name), m.Notes[name])
	}
}

// The bounds of an interval are metrics of their own, which stand beside what they are of.
const (
	lowEnd  = "_low"
	highEnd = "_high"
)

// bound tells whether a metric is one.
func bound(name string) bool {
	name, _, _ = strings.Cut(name, "@")
	return strings.HasSuffix(name, lowEnd) || strings.HasSuffix(name, highEnd)
}

// interval is that of a metric, if it has one.
func interval(m map[string]float64, name, format string) string {
	name, column, of := strings.Cut(name, "@")
	if of {
		column = "@" + column
	}
	low, ok := m[name+lowEnd+column]
	if !ok {
		return ""
	}
	return fmt.Sprintf(" ("+format+"–"+format+")", low, m[name+highEnd+column])
}

func cell(m map[string]float64, name string) string {
	v, ok := m[name]
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.4g", v)
}

func printOne(out io.Writer, m measured) {
	rows := "held-out rows"
	if !m.Heldout {
		rows = "all rows"
	}
	fmt.Fprintf(out, "%s: %s %s of %s at layer %d, width %d; %s\n", m.Dir, m.Kind, m.Arch, m.Site, m.Layer, m.Width, rows)
	if m.K != "" {
		fmt.Fprintf(out, "  %s\n", strings.Join(append([]string{"k " + m.K}, boundNotes(m.K)...), "  "))
	}
	names, width := namesOf([]measured{m}), 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for _, name := range names {
		fmt.Fprintf(out, "  %-*s %.6g%s\n", width, name, m.Metrics[name], interval(m.Metrics, name, "%.4g"))
	}
	printNotes(out, "  ", m)
	for _, line := range vq.Alarms(m.Metrics) {
		fmt.Fprintf(out, "  alarm: %s\n", line)
	}
	if m.Densities != nil {
		fmt.Fprintf(out, "  %s\n", densityText(*m.Densities))
	}
}

// namesOf lists the metrics that any coder has.
func namesOf(table []measured) (names []string) {
	has := map[string]bool{}
	for _, m := range table {
		for n := range m.Metrics {
			has[n] = true
		}
	}
	for _, n := range evalColumns {
		if has[n] {
			names = append(names, n)
		}
		delete(has, n)
	}
	var rest []string
	for n := range has {
		if !bound(n) {
			rest = append(rest, n)
		}
	}
	slices.Sort(rest)
	return append(names, rest...)
}

// densityText draws the histogram of densities on one line.
func densityText(h coder.Histogram) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	most := slices.Max(append([]int{1}, h.Count...))
	var b strings.Builder
	for _, n := range h.Count {
		switch {
		case n == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune(bars[(n*len(bars)-1)/most])
		}
	}
	return fmt.Sprintf("density %.2g ▕%s▏ 1, dead %d", math.Pow(10, h.From), b.String(), h.Dead)
}
