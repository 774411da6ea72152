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
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, note := range t.Notes() {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
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
			cell := withInterval(b.AUROC, b.Lo, b.Hi)
			if b.Coverage != nil {
				cell += fmt.Sprintf(" of %.2g", *b.Coverage)
			}
			return cell + "\t" + withInterval(b.Acc, b.AccLo, b.AccHi)
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

// Notes say what a reader of the numbers must know: rows without groups, near duplicates, a model's answer that is none,
// AUROCs that cannot be computed.
func (t Table) Notes() (notes []string) {
	if t.GroupBy == UngroupedBy {
		notes = append(notes, "no groups: each prompt is its own, so that forms of one fact may lie in two splits, "+
			"and intervals are too narrow if they do")
	}
	for _, split := range t.Elsewhere {
		if n := t.LeftOut[split]; n > 0 {
			notes = append(notes, fmt.Sprintf("%d rows of %s are left out: train or val has their groups", n, split))
		}
	}
	for _, l := range t.Near {
		notes = append(notes, "near duplicates: "+l.String())
	}
	for _, b := range t.Baselines {
		if c := b.Caution(); c != "" && b.Split != "train" && b.Split != "val" {
			notes = append(notes, fmt.Sprintf("%s on %s: %s", b.Name, b.Split, c))
		}
	}
	if n := t.separable(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d probes have every train row on its side: their penalty alone bounds their weights, and train says nothing about them", n))
	}
	for _, split := range t.SplitNames() {
		for _, p := range t.Probes {
			if why := p.Splits[split].Why; why != "" && p.Converged {
				notes = append(notes, fmt.Sprintf("no AUROC on %s: %s", split, why))
				break
			}
		}
	}
	return notes
}

// separable is how many probes separate the train rows.
func (t Table) separable() (n int) {
	for _, p := range t.Probes {
		if p.Separable && p.Converged {
			n++
		}
	}
	return n
}
