package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// densityView is the histograms of all coders that have one.
type densityView struct {
	ID     string
	Panels []template.HTML
}

// densities draws a histogram for each coder.
func densities(coders []Coder) (v densityView) {
	for i, c := range coders {
		if c.Eval != nil && c.Eval.Densities != nil && len(c.Eval.Densities.Count) > 0 && len(v.Panels) < maxPanels {
			v.Panels = append(v.Panels, drawDensity(c, i).svg())
		}
	}
	return v
}

// count is a number of latents or rows; none is below zero or beyond 2⁵³.
func count(v float64) int64 { return int64(min(max(v, 0), 1<<53)) }

func drawDensity(coder Coder, series int) *canvas {
	const width, height, left, right, top, bottom = 350.0, 190.0, 46.0, 12.0, 44.0, 36.0
	h := coder.Eval.Densities
	c := newCanvas(width, height, "densities of the latents of "+coder.Name)
	c.text(4, 14, textSize, "start", "ink strong", fit(coder.Name, textSize, width-8))
	c.text(4, 31, 11, "start", "mute", fit(densityNote(coder), 11, width-8))
	y := scale{lo: 0, hi: float64(slices.Max(append([]int{1}, h.Count...)))}.widen(4)
	x := scale{lo: h.From, hi: h.From + h.Width*float64(len(h.Count))}
	x.from, x.to, y.from, y.to = left, width-right, height-bottom, top
	for _, v := range y.ticks(4) {
		c.line(left, y.at(v), width-right, y.at(v), "grid")
		c.text(left-6, y.at(v)+4, 11, "end", "mute num", short(v))
	}
	for i, n := range h.Count {
		lo, hi := h.From+h.Width*float64(i), h.From+h.Width*float64(i+1)
		if n > 0 {
			c.rect(x.at(lo)+.5, y.at(float64(n)), x.at(hi)-x.at(lo)-1, y.at(0)-y.at(float64(n)), seriesClass(series)+" column",
				fmt.Sprintf("%s latents\nfire on %s to %s of the rows", whole(int64(n)), short(math.Pow(10, lo)), short(math.Pow(10, hi))))
		}
	}
	for e := math.Ceil(x.lo); e <= x.hi; e += math.Ceil((x.hi - x.lo) / 7) {
		c.line(x.at(e), height-bottom, x.at(e), height-bottom+4, "axis")
		c.text(math.Min(x.at(e), width-right-4), height-bottom+16, 11, "middle", "mute num", short(math.Pow(10, e)))
	}
	c.line(left, height-bottom, width-right, height-bottom, "axis")
	c.text((left+width-right)/2, height-5, 11, "middle", "mute", "share of rows a latent fires on")
	return c
}

// densityNote says what the bins do not show.
func densityNote(c Coder) string {
	note := fmt.Sprintf("%s latents, %s dead", whole(int64(c.Width)), whole(int64(c.Eval.Densities.Dead)))
	if dense, ok := c.Eval.Metrics["dense"]; ok {
		note += fmt.Sprintf(", %s dense", whole(count(dense)))
	}
	if rows, ok := c.Eval.Metrics["rows"]; ok {
		note += fmt.Sprintf(" (%s rows)", whole(count(rows)))
	}
	return note
}
