package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// normsChart draws ‖x‖ against the layer, one line per site and variant.
func normsChart(n Norms) template.HTML { return drawNorms(n).svg() }

func drawNorms(n Norms) *canvas {
	const width, height, left, right, top, bottom = 720.0, 280.0, 60.0, 20.0, 14.0, 40.0
	c := newCanvas(width, height, "root mean square norm by layer and site")
	curves, names := normCurves(n)
	x, y := scalesOf(curves, metric{log: true})
	x.lo = math.Inf(1)
	for _, k := range curves {
		x.lo = math.Min(x.lo, k.xs[0])
	}
	x.from, x.to, y.from, y.to = left+8, width-right, height-bottom, top
	for _, t := range y.ticks(8) {
		c.line(left, y.at(t), width-right, y.at(t), "grid")
		c.text(left-8, y.at(t)+4, 11, "end", "mute num", short(t))
	}
	for _, t := range layerTicks(x, 24) {
		c.line(x.at(t), height-bottom, x.at(t), height-bottom+4, "axis")
		c.text(x.at(t), height-bottom+17, 11, "middle", "mute num", fmt.Sprint(t))
	}
	c.line(left, height-bottom, width-right, height-bottom, "axis")
	c.text((left+width-right)/2, height-6, 11, "middle", "mute", "layer")
	for i, k := range curves {
		px, py := make([]float64, len(k.xs)), make([]float64, len(k.xs))
		for j := range k.xs {
			px[j], py[j] = x.at(k.xs[j]), y.at(k.ys[j])
		}
		c.polyline(px, py, seriesClass(i)+" eval")
		for j := range px {
			c.circle(px[j], py[j], 3, seriesClass(i)+" eval", fmt.Sprintf("%s, layer %.0f\nRMS norm %s", names[i], k.xs[j], short(k.ys[j])))
		}
	}
	return c
}

// layerTicks are whole layers only.
func layerTicks(x scale, n int) (out []float64) {
	step := math.Max(1, niceStep((x.hi-x.lo)/float64(n)))
	for t := math.Ceil(x.lo/step) * step; t <= x.hi; t += step {
		out = append(out, t)
	}
	return out
}

// normCurves has one curve per site and variant, sites in canonical order.
func normCurves(n Norms) (curves []curve, names []string) {
	columns := slices.Clone(n.Columns)
	slices.SortStableFunc(columns, func(a, b Norm) int {
		if d := siteRank(a.Site) - siteRank(b.Site); d != 0 {
			return d
		}
		return a.Layer - b.Layer
	})
	for _, col := range columns {
		name := normName(col)
		i := slices.Index(names, name)
		if i < 0 {
			i = len(names)
			names = append(names, name)
			curves = append(curves, curve{coder: i, eval: true})
		}
		curves[i].xs = append(curves[i].xs, float64(col.Layer))
		curves[i].ys = append(curves[i].ys, col.RMS)
	}
	return curves, names
}

func normName(n Norm) string {
	if n.Variant == "" {
		return n.Site
	}
	return n.Site + " " + n.Variant
}

type normsView struct {
	ID, Name string
	Legend   []entry
	SVG      template.HTML
	Rows     []normRow
	Open     bool
}

type normRow struct{ Site, Layer, Width, RMS, Value, Max, Bad string }

func normsOf(n Norms, id string) normsView {
	v := normsView{ID: id, Name: n.Name, SVG: normsChart(n), Open: len(n.Columns) <= openRows}
	_, names := normCurves(n)
	for i, name := range names {
		v.Legend = append(v.Legend, entry{seriesClass(i), name})
	}
	for _, c := range n.Columns {
		v.Rows = append(v.Rows, normRow{normName(c), fmt.Sprint(c.Layer), whole(int64(c.Width)), short(c.RMS), short(c.RMS / math.Sqrt(float64(c.Width))), short(c.MaxAbs), whole(c.Bad)})
	}
	return v
}
