package report

import (
	"fmt"
	"html/template"
	"slices"

	"actfleet/analysis/evaluate"
	"actfleet/shard/tap"
)

const (
	cellWidth  = 56.0
	cellHeight = 21.0
	cellGap    = 2.0
	textSize   = 12.0
)

// heatMap draws the AUROC of one kind of probe on one split, layers downwards
// in their natural order, sites across. The chosen probe is framed; a probe
// that did not converge shows no number.
func heatMap(probes []evaluate.Probe, split, chosen string) template.HTML {
	return drawHeatMap(probes, split, chosen).svg()
}

func drawHeatMap(probes []evaluate.Probe, split, chosen string) *canvas {
	sites, layers := axesOf(probes)
	const left, top = 44.0, 26.0
	c := newCanvas(left+float64(len(sites))*cellWidth+4, top+float64(len(layers))*cellHeight+4, "AUROC by layer and site on "+split)
	c.text(left-8, top-9, 11, "end", "mute", "layer")
	for i, site := range sites {
		c.text(left+(float64(i)+.5)*cellWidth, top-9, textSize, "middle", "ink", fit(site, textSize, cellWidth))
	}
	for i, layer := range layers {
		c.text(left-8, top+float64(i)*cellHeight+15, 11, "end", "mute num", fmt.Sprint(layer))
	}
	for _, p := range probes {
		x := left + float64(slices.Index(sites, siteName(p)))*cellWidth
		y := top + float64(slices.Index(layers, p.Layer))*cellHeight
		drawCell(c, x, y, p, split, p.ID == chosen)
	}
	return c
}

func drawCell(c *canvas, x, y float64, p evaluate.Probe, split string, chosen bool) {
	m, ok := p.Splits[split]
	class, label, ink := "none", "–", "mute"
	switch {
	case !p.Converged:
		class, label = "none", "n. c."
	case ok && m.AUROC.Defined():
		class, label = heatClass(float64(m.AUROC)), fmt.Sprintf("%.2f", m.AUROC)
		ink = "on-" + class
	}
	if chosen {
		class += " chosen"
	}
	c.rect(x+cellGap/2, y+cellGap/2, cellWidth-cellGap, cellHeight-cellGap, class, cellTip(p, split))
	c.text(x+cellWidth/2, y+15, textSize, "middle", "num "+ink, label)
}

func cellTip(p evaluate.Probe, split string) string {
	m, ok := p.Splits[split]
	head := fmt.Sprintf("%s, %s layer %d, %s", p.Kind, siteName(p), p.Layer, split)
	switch {
	case !p.Converged:
		return head + ": the fit did not converge, numbers withheld"
	case !ok:
		return head + ": not measured"
	}
	return fmt.Sprintf("%s\nAUROC %s\naccuracy %s\nECE %s\n%s rows in %s groups", head,
		interval(m.AUROC, m.AUROCLo, m.AUROCHi), interval(m.Acc, m.AccLo, m.AccHi), plain(m.ECE), whole(int64(m.N)), whole(int64(m.Groups)))
}

// siteName is the site with its variant.
func siteName(p evaluate.Probe) string {
	if p.Variant == "" {
		return p.Site
	}
	return p.Site + " " + p.Variant
}

// axesOf lists the columns in canonical order and the layers as numbers.
func axesOf(probes []evaluate.Probe) (sites []string, layers []int) {
	rank := map[string]int{}
	for _, p := range probes {
		name := siteName(p)
		if !slices.Contains(sites, name) {
			sites = append(sites, name)
			rank[name] = siteRank(p.Site)
		}
		if !slices.Contains(layers, p.Layer) {
			layers = append(layers, p.Layer)
		}
	}
	slices.Sort(layers)
	slices.SortStableFunc(sites, func(a, b string) int { return rank[a] - rank[b] })
	return sites, layers
}

// siteRank puts known sites in their canonical order before all others.
func siteRank(site string) int {
	if i := slices.Index(tap.Sites, tap.Site(site)); i >= 0 {
		return i
	}
	return len(tap.Sites)
}

func interval(v, lo, hi evaluate.Value) string {
	if !v.Defined() {
		return "–"
	}
	if !lo.Defined() || !hi.Defined() {
		return plain(v)
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", v, lo, hi)
}

func plain(v evaluate.Value) string {
	if !v.Defined() {
		return "–"
	}
	return fmt.Sprintf("%.3f", v)
}
