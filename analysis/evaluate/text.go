package evaluate

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// WriteText renders the table for a terminal: one line per baseline and probe,
// for each split the AUROC and the accuracy with their intervals.
func (t Table) WriteText(w io.Writer) error {
	splits := t.SplitNames()
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprint(tw, "probe\tsite\tlayer")
	for _, s := range splits {
		fmt.Fprintf(tw, "\t%s AUROC\t%s accuracy", s, s)
	}
	fmt.Fprintln(tw)
	for _, p := range t.Probes {
		kind := p.Kind
		if !p.Converged {
			kind += " (not converged)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%d", kind, p.Site, p.Layer)
		for _, s := range splits {
			fmt.Fprint(tw, "\t", cell(p, s))
		}
		fmt.Fprintln(tw)
	}
	for _, name := range t.baselineNames() {
		fmt.Fprintf(tw, "%s\t\t", name)
		for _, s := range splits {
			fmt.Fprint(tw, "\t", t.baselineCell(name, s))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// cell withholds the numbers of a fit that did not converge.
func cell(p Probe, split string) string {
	m, ok := p.Splits[split]
	if !ok || !p.Converged {
		return "–\t–"
	}
	return withInterval(m.AUROC, m.AUROCLo, m.AUROCHi) + "\t" + withInterval(m.Acc, m.AccLo, m.AccHi)
}

func (t Table) baselineCell(name, split string) string {
	for _, b := range t.Baselines {
		if b.Name == name && b.Split == split {
			return withInterval(b.AUROC, b.Lo, b.Hi) + "\t" + withInterval(b.Acc, b.AccLo, b.AccHi)
		}
	}
	return "–\t–"
}

func (t Table) baselineNames() (names []string) {
	for _, b := range t.Baselines {
		if !slices.Contains(names, b.Name) {
			names = append(names, b.Name)
		}
	}
	return names
}

func withInterval(v, lo, hi Value) string {
	switch {
	case !v.Defined():
		return "–"
	case !lo.Defined() || !hi.Defined():
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", v, lo, hi)
}
