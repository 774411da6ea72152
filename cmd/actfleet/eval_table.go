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
	return measured{dir, c.Kind, c.Arch, c.Site, c.Layer, c.Width, e}, coder.SaveEvaluation(dir, e)
}

// columns of the table and lines of the list, in order; what else there is follows by name in the list.
var evalColumns = []string{"rows", "fvu", "ev", "ev_legacy", "fve_var", "l0", "dead", "under_1e-6", "under_1e-5", "dense", "perplexity", "usage",
	"cosine", "l2_ratio", "relative_bias", "prompts", "ce_clean", "ce_coder", "ce_zero", "loss_recovered", "kl_coder", "kl_zero", "kl_score"}

// wideOnly are left out of a table of several coders, which would not fit on a screen.
var wideOnly = []string{"rows", "under_1e-6", "prompts", "ce_clean", "ce_coder", "ce_zero", "kl_coder", "kl_zero"}

func printMeasured(out io.Writer, table []measured) error {
	if len(table) == 1 {
		printOne(out, table[0])
		return nil
	}
	names := slices.DeleteFunc(namesOf(table), func(n string) bool { return slices.Contains(wideOnly, n) || !slices.Contains(evalColumns, n) })
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "coder\tarch\tsite\tlayer\t%s\t\n", strings.Join(names, "\t"))
	for _, m := range table {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t", baseName(m.Dir), m.Arch, m.Site, m.Layer)
		for _, n := range names {
			fmt.Fprintf(w, "%s\t", cell(m.Metrics, n))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range table {
		if m.Densities != nil {
			fmt.Fprintf(out, "%s: %s\n", baseName(m.Dir), densityText(*m.Densities))
		}
		printUndefined(out, baseName(m.Dir)+": ", m)
	}
	return nil
}

// printUndefined says why metrics are NaN or infinite.
func printUndefined(out io.Writer, begin string, m measured) {
	for _, name := range slices.Sorted(maps.Keys(m.Undefined)) {
		fmt.Fprintf(out, "%s%s is not defined: %s\n", begin, name, m.Undefined[name])
	}
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
	names, width := namesOf([]measured{m}), 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for _, name := range names {
		fmt.Fprintf(out, "  %-*s %.6g\n", width, name, m.Metrics[name])
	}
	printUndefined(out, "  ", m)
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
		rest = append(rest, n)
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
