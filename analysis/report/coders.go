package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"

	"actfleet/trainer/coder"
)

type familyView struct {
	ID, Title, kind string
	Legend          []entry
	Panels          []template.HTML
	Metrics         []string
	Rows            []coderRow
}

type coderRow struct{ Text, Numbers []string }

var familyTitles = map[string]string{"sae": "Sparse autoencoders: training", "vq": "Activation tokenizers: training", "probe": "Probes: training"}

// families groups the coders by kind, SAEs first; those without points are
// listed too, their row shows that nothing was measured.
func families(coders []Coder) (out []familyView) {
	var order []string
	by := map[string][]Coder{}
	for _, c := range coders {
		if len(by[c.Kind]) == 0 {
			order = append(order, c.Kind)
		}
		by[c.Kind] = append(by[c.Kind], c)
	}
	slices.Sort(order)
	for _, kind := range order {
		out = append(out, familyOf(kind, by[kind]))
	}
	return out
}

func familyOf(kind string, coders []Coder) familyView {
	f := familyView{kind: kind, Title: cmp.Or(familyTitles[kind], kind+": training"), Panels: panelsOf(coders)}
	f.Metrics = columnsOf(coders)
	for i, c := range coders {
		f.Legend = append(f.Legend, entry{seriesClass(i), c.Name})
		f.Rows = append(f.Rows, coderRowOf(c, f.Metrics))
	}
	return f
}

// measured are numbers of a coder that no drawing of its training has, the first columns of the table.
var measured = []string{"fvu", "loss_recovered", "kl_score", "bits"}

// columnsOf names the numbers of the table.
func columnsOf(coders []Coder) (out []string) {
	for _, key := range measured {
		if slices.ContainsFunc(coders, func(c Coder) bool { _, ok := c.measure(key); return ok }) {
			out = append(out, key)
		}
	}
	for _, m := range metricsOf(coders) {
		if !slices.Contains(out, m.key) {
			out = append(out, m.key)
		}
	}
	return out
}

func coderRowOf(c Coder, columns []string) coderRow {
	r := coderRow{Text: []string{c.Name, c.Arch, c.Site}, Numbers: []string{fmt.Sprint(c.Layer), whole(int64(c.Width)), whole(int64(c.DIn))}}
	var last coder.Event
	if n := len(c.Points); n > 0 {
		last = c.Points[n-1]
	}
	seconds := 0.0
	for _, p := range c.Points {
		seconds = math.Max(seconds, p.Seconds)
	}
	r.Numbers = append(r.Numbers, whole(int64(last.Step)), whole(last.Rows), span(secondsOf(seconds)))
	for _, key := range columns {
		r.Numbers = append(r.Numbers, lastValue(c, key))
	}
	return r
}

// lastValue is what was measured on held-out rows, or else on the last batch that says it.
func lastValue(c Coder, key string) string {
	if v, ok := c.measure(key); ok {
		return short(v)
	}
	for _, p := range slices.Backward(c.Points) {
		if v, ok := p.Values[key]; ok {
			return short(v)
		}
	}
	return "–"
}

func secondsOf(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
