package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"actfleet/analysis/evaluate"
)

type sweepView struct {
	ID, Name, Label, Target, Filter string
	Sizes                           string
	Problem                         string // why the numbers are withheld
	Verdict                         string
	Claims                          []string
	Notes                           []string // what a reader of the numbers must know
	Splits                          []splitView
	Columns                         []string
	Rows                            []probeRow
	Open                            bool
	Calibration                     *calibrationView
}

type splitView struct {
	Name    string
	Comment string // the chosen probe against the best baseline
	Maps    []mapView
	Strip   template.HTML
}

type mapView struct {
	Kind, Split string
	SVG         template.HTML
}

type probeRow struct {
	Class, Kind, Site, Layer string
	Cells                    []cellView
}

type cellView struct{ N, AUROC, AUROCInterval, Acc, AccInterval, ECE, Recall string }

// openRows is how long a table may be to stand open on the page.
const openRows = 40

func sweepOf(s Sweep, id string) sweepView {
	v := sweepView{ID: id, Name: s.Name, Label: s.Label, Target: s.Target, Filter: s.Filter, Sizes: sizes(s.Table), Columns: s.SplitNames()}
	if err := s.Check(); err != nil {
		v.Problem = strings.TrimPrefix(err.Error(), evaluate.ErrUnsound.Error()+": ")
		return v
	}
	chosen, ok := s.Chosen()
	v.Verdict = verdict(chosen, ok, s.Primary != "", v.Columns)
	for _, split := range v.Columns {
		if split != "train" && split != "val" {
			v.Splits = append(v.Splits, splitOf(s.Table, split, chosen.ID))
		}
	}
	for _, c := range s.Claims {
		v.Claims = append(v.Claims, c.String())
	}
	v.Notes = s.Notes()
	v.Rows = rowsOf(s.Table, v.Columns, chosen.ID)
	v.Open = len(v.Rows) <= openRows
	v.Calibration = calibrationOf(s.Table.Calibration)
	return v
}

// sizes lists the splits with their rows, the measured ones in their order.
func sizes(t evaluate.Table) string {
	names := t.SplitNames()
	for name := range t.Splits {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[len(t.SplitNames()):])
	for i, name := range names {
		names[i] = name + " " + whole(int64(t.Splits[name]))
	}
	return strings.Join(names, ", ")
}

// verdict is the one sentence that may be quoted.
func verdict(p evaluate.Probe, ok, declared bool, splits []string) string {
	if !ok && declared {
		return "The probe that was declared before did not converge, so there is no result."
	}
	if !ok {
		return "There is no validation split with a converged probe, so no cell may be quoted as the result: the best of many is biased upwards."
	}
	parts := []string{}
	for _, split := range splits {
		if m, measured := p.Splits[split]; measured && split != "train" {
			parts = append(parts, fmt.Sprintf("%s %s", split, interval(m.AUROC, m.AUROCLo, m.AUROCHi)))
		}
	}
	how := "Chosen on validation"
	if declared {
		how = "Declared before anything was fitted"
	}
	return fmt.Sprintf(how+": %s at %s layer %d. AUROC: %s.", p.Kind, siteName(p), p.Layer, strings.Join(parts, "; "))
}

func splitOf(t evaluate.Table, split, chosen string) splitView {
	v := splitView{Name: split, Comment: against(t, split), Strip: baselineStrip(t, split)}
	for _, kind := range kinds(t) {
		var probes []evaluate.Probe
		for _, p := range t.Probes {
			if p.Kind == kind {
				probes = append(probes, p)
			}
		}
		v.Maps = append(v.Maps, mapView{kind, split, heatMap(probes, split, chosen)})
	}
	return v
}

// against sets the chosen probe beside the best baseline of the split.
func against(t evaluate.Table, split string) string {
	p, ok := t.Chosen()
	m := p.Splits[split]
	best := evaluate.Baseline{AUROC: -1}
	for _, b := range t.Baselines {
		if b.Split == split && b.AUROC > best.AUROC {
			best = b
		}
	}
	if !ok || !m.AUROC.Defined() || best.AUROC < 0 {
		return ""
	}
	outcome := "is not told apart from"
	switch {
	case m.AUROCLo > best.AUROC:
		outcome = "is above"
	case m.AUROCHi < best.AUROC:
		outcome = "is below"
	}
	return fmt.Sprintf("The chosen probe, %s, %s the best baseline, %s at %.3f.", interval(m.AUROC, m.AUROCLo, m.AUROCHi), outcome, best.Name, best.AUROC)
}

func kinds(t evaluate.Table) (out []string) {
	for _, p := range t.Probes {
		if !slices.Contains(out, p.Kind) {
			out = append(out, p.Kind)
		}
	}
	return out
}

// rowsOf lists the baselines first, then the probes by kind, site and layer.
func rowsOf(t evaluate.Table, splits []string, chosen string) (rows []probeRow) {
	var names []string
	for _, b := range t.Baselines {
		if !slices.Contains(names, b.Name) {
			names = append(names, b.Name)
			rows = append(rows, baselineRow(t, b.Name, splits))
		}
	}
	probes := slices.Clone(t.Probes)
	order := kinds(t)
	slices.SortStableFunc(probes, func(a, b evaluate.Probe) int {
		if d := slices.Index(order, a.Kind) - slices.Index(order, b.Kind); d != 0 {
			return d
		}
		if d := siteRank(a.Site) - siteRank(b.Site); d != 0 {
			return d
		}
		return a.Layer - b.Layer
	})
	for _, p := range probes {
		rows = append(rows, rowOf(p, splits, p.ID == chosen))
	}
	return rows
}

func baselineRow(t evaluate.Table, name string, splits []string) probeRow {
	r := probeRow{Class: "base", Kind: name, Site: "–", Layer: "–"}
	for _, split := range splits {
		c := cellView{N: "–", AUROC: "–", Acc: "–", ECE: "–", Recall: "–"}
		for _, b := range t.Baselines {
			if b.Name == name && b.Split == split {
				if b.N > 0 {
					c.N = whole(int64(b.N))
				}
				c.AUROC, c.AUROCInterval = plain(b.AUROC), limits(b.Lo, b.Hi)
				if b.Coverage != nil {
					c.AUROCInterval = strings.TrimPrefix(c.AUROCInterval+fmt.Sprintf(", coverage %.2g", *b.Coverage), ", ")
				}
				c.Acc, c.AccInterval = plain(b.Acc), limits(b.AccLo, b.AccHi)
			}
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

func rowOf(p evaluate.Probe, splits []string, chosen bool) probeRow {
	r := probeRow{Kind: p.Kind, Site: siteName(p), Layer: fmt.Sprint(p.Layer)}
	if chosen {
		r.Class = "chosen"
	}
	for _, split := range splits {
		m, ok := p.Splits[split]
		c := cellView{N: "–", AUROC: "–", Acc: "–", ECE: "–", Recall: "–"}
		switch {
		case !p.Converged:
			c.AUROC = "not converged"
		case ok && m.Why != "":
			c = cellView{N: fmt.Sprintf("%s / %s", whole(int64(m.N)), whole(int64(m.Groups))), AUROC: "none", AUROCInterval: m.Why, Acc: plain(m.Acc), AccInterval: limits(m.AccLo, m.AccHi), ECE: plain(m.ECE), Recall: "–"}
		case ok:
			c = cellView{fmt.Sprintf("%s / %s", whole(int64(m.N)), whole(int64(m.Groups))), plain(m.AUROC), limits(m.AUROCLo, m.AUROCHi), plain(m.Acc), limits(m.AccLo, m.AccHi), plain(m.ECE), plain(m.Recall)}
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

func limits(lo, hi evaluate.Value) string {
	if !lo.Defined() || !hi.Defined() {
		return ""
	}
	return fmt.Sprintf("%.3f–%.3f", lo, hi)
}
