package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

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
	if i := slices.Index(tap.Every, tap.Site(site)); i >= 0 {
		return i
	}
	return len(tap.Every)
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

// A theme is one set of the colours that Go computes with; the rest of the
// colours are in style.css.
type theme struct {
	above  [11]string // AUROC 0.5, 0.55, … 1: from the page's grey to blue
	below  [10]string // AUROC 0.45, 0.4, … 0: from the page's grey to orange
	series [8]string  // lines, in order of use
	ink    [2]string  // text on a cell: dark, light
}

// The ramps are straight lines in OKLab, so equal steps look equal. The
// series colours keep a contrast of 3:1 to the page (WCAG 1.4.11).
var (
	light = theme{
		above:  [11]string{"#f1f4f7", "#d9e2ec", "#c2d0e1", "#abbed6", "#94accb", "#7e9ac0", "#6889b5", "#5278a9", "#3c669e", "#265592", "#0a4486"},
		below:  [10]string{"#ede4e2", "#e8d4cc", "#e3c4b7", "#ddb5a2", "#d8a58e", "#d19579", "#cb8564", "#c4754f", "#c06b3f", "#b5541c"},
		series: [8]string{"#1f66ad", "#c4581a", "#23835f", "#96428a", "#8a7412", "#5a56c9", "#b32f45", "#4a7680"},
		ink:    [2]string{"#11161c", "#ffffff"},
	}
	dark = theme{
		above:  [11]string{"#252b33", "#303945", "#3b4857", "#47586a", "#53687e", "#5f7892", "#6b89a7", "#789abc", "#85acd2", "#92bee8", "#9fd0ff"},
		below:  [10]string{"#38373b", "#4c4443", "#60514a", "#755e52", "#8b6c59", "#a17961", "#b88768", "#cf956f", "#e7a376", "#ffb27d"},
		series: [8]string{"#6cb2f5", "#f0965a", "#5cc79a", "#d98fcf", "#d2b94a", "#a3a0f5", "#f28394", "#8cbcc6"},
		ink:    [2]string{"#11161c", "#ffffff"},
	}
)

// heatClass names the colour of an AUROC.
func heatClass(v float64) string {
	switch {
	case v >= 0.475:
		return "h" + strconv.Itoa(min(10, max(0, int(math.Round((v-0.5)*20)))))
	default:
		return "w" + strconv.Itoa(min(9, max(0, int(math.Round((0.45-v)*20)))))
	}
}

func seriesClass(i int) string { return fmt.Sprintf("s%d", i%len(light.series)) }

// css writes the rules of a theme.
func (t theme) css() string {
	var b strings.Builder
	cell := func(name, fill string) {
		fmt.Fprintf(&b, ".%s{fill:%s;background:%s}.on-%s{fill:%s}\n", name, fill, fill, name, t.inkOn(fill))
	}
	for i, fill := range t.above {
		cell("h"+strconv.Itoa(i), fill)
	}
	for i, fill := range t.below {
		cell("w"+strconv.Itoa(i), fill)
	}
	for i, colour := range t.series {
		fmt.Fprintf(&b, ".s%d{--c:%s}\n", i, colour)
	}
	return b.String()
}

func (t theme) inkOn(fill string) string {
	if contrast(t.ink[0], fill) >= contrast(t.ink[1], fill) {
		return t.ink[0]
	}
	return t.ink[1]
}

// contrast is the ratio of WCAG 2.1 between two #rrggbb colours.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, _ := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func themeCSS() template.CSS {
	return template.CSS(light.css() + "@media (prefers-color-scheme:dark){\n" + dark.css() + "}\n")
}
