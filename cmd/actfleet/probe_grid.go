package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"actfleet/analysis/evaluate"
	"actfleet/shard/tap"
)

// printGrid prints the test AUROC of one kind of probe, a line per layer and a column per site; a dash is a
// probe that did not converge, or that test rows do not tell about.
func printGrid(out io.Writer, t evaluate.Table, kind string) error {
	cells := map[tap.Tap]string{}
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
		layers = append(layers, p.Layer)
	}
	slices.Sort(layers)
	fmt.Fprintf(out, "test AUROC of %s probes\n", kind)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "layer")
	for _, site := range tap.Sites {
		fmt.Fprintf(w, "\t%s", site)
	}
	for _, layer := range slices.Compact(layers) {
		fmt.Fprintf(w, "\n%d", layer)
		for _, site := range tap.Sites {
			fmt.Fprintf(w, "\t%s", cells[tap.Tap{Site: site, Layer: layer}])
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}
