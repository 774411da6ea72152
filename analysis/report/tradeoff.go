package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"

	"actfleet/shard/tap"
)

// tradeoffView is the coders of one kind of comparison: a drawing per place in the model.
type tradeoffView struct {
	ID, Title, Lead string
	Legend          []entry
	Panels          []template.HTML
}

// spot is one coder in a trade-off.
type spot struct {
	coder int // index among all coders, for the colour
	name  string
	x, y  float64
}

// tradeoff says what is drawn against what.
type tradeoff struct {
	title, lead, xName, yName string
	logX, logY                bool
	better                    func(a, b float64) bool // of two values y
	spot                      func(c Coder) (x, y float64, ok bool)
	enough                    func(coders []Coder) bool
}

var tradeoffs = []tradeoff{
	{"Sparsity and reconstruction", "Explained variance against active latents of a row, one drawing for each place in the model. The line joins the coders that no sparser one beats.",
		"L0: active latents of a row", "explained variance", true, false, func(a, b float64) bool { return a > b }, sparsity,
		func(coders []Coder) bool { return len(coders) > 1 }},
	{"Rate and distortion", "Variance left unexplained against the bits that hold a row: log₂ of the codebook's size for each id of a tokenizer; for an autoencoder log₂ of the ways to choose its active latents, and 8 bits for the value of each. Left and low is better.",
		"bits of a row", "FVU: share of variance unexplained", true, true, func(a, b float64) bool { return a < b }, rate,
		func(coders []Coder) bool {
			return len(coders) > 1 && slices.ContainsFunc(coders, func(c Coder) bool { return c.Kind == "vq" })
		}},
}

func sparsity(c Coder) (x, y float64, ok bool) {
	l0, ok1 := c.measure("l0")
	fvu, ok2 := c.measure("fvu")
	return l0, 1 - fvu, ok1 && ok2 && l0 > 0 && drawableAll(l0, fvu)
}

// valueBits is what one active latent's value is counted as, as in actfleet compare.
const valueBits = 8

func rate(c Coder) (x, y float64, ok bool) {
	fvu, ok := c.measure("fvu")
	if !ok || !(fvu > 0) || c.Width < 2 {
		return 0, 0, false
	}
	bits, given := c.measure("bits")
	if l0, sparse := c.measure("l0"); sparse && !given {
		bits = logChoose(float64(c.Width), l0) + l0*valueBits
	} else if !given {
		bits = math.Log2(float64(c.Width))
	}
	return bits, fvu, bits > 0 && drawableAll(bits, fvu)
}

// logChoose is log₂ of the binomial coefficient of n over k, which need not be whole.
func logChoose(n, k float64) float64 {
	if !(k >= 0 && k <= n) {
		return 0
	}
	gamma := func(v float64) float64 { g, _ := math.Lgamma(v + 1); return g }
	return (gamma(n) - gamma(k) - gamma(n-k)) / math.Ln2
}

func drawableAll(values ...float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool {
		return math.IsNaN(v) || math.Abs(v) > drawable || v != 0 && math.Abs(v) < 1/drawable
	})
}

// place is where in the model a coder reads.
type place struct {
	layer int
	site  string
}

// tradeoffsOf draws every comparison that the coders allow; coders of different places are not comparable.
func tradeoffsOf(coders []Coder) (out []tradeoffView) {
	for _, t := range tradeoffs {
		v := tradeoffView{Title: t.title, Lead: t.lead}
		drawn := map[int]bool{}
		for _, c := range t.drawings(coders, drawn) {
			v.Panels = append(v.Panels, c.svg())
		}
		for i, c := range coders {
			if drawn[i] {
				v.Legend = append(v.Legend, entry{seriesClass(i), c.Name})
			}
		}
		if len(v.Panels) > 0 {
			out = append(out, v)
		}
	}
	return out
}

func (t tradeoff) drawings(coders []Coder, drawn map[int]bool) (out []*canvas) {
	places := placesOf(coders)
	width := 460.0
	if len(places) == 1 {
		width = 760
	}
	for _, at := range places {
		var spots []spot
		var there []Coder
		for i, c := range coders {
			x, y, ok := t.spot(c)
			if ok && at == (place{c.Layer, c.Site}) {
				spots, there = append(spots, spot{i, c.Name, x, y}), append(there, c)
			}
		}
		if !t.enough(there) || len(out) == maxPanels {
			continue
		}
		for _, s := range spots {
			drawn[s.coder] = true
		}
		out = append(out, t.draw(spots, fmt.Sprintf("%s, layer %d", at.site, at.layer), width))
	}
	return out
}

func placesOf(coders []Coder) (out []place) {
	for _, c := range coders {
		if at := (place{c.Layer, c.Site}); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	slices.SortStableFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), tap.Site(a.site).Compare(tap.Site(b.site)))
	})
	return out
}

// draw is one drawing: a point for each coder, a line through those that are on the frontier.
func (t tradeoff) draw(spots []spot, title string, width float64) *canvas {
	const height, left, right, top, bottom = 320.0, 52.0, 20.0, 46.0, 40.0
	c := newCanvas(width, height, t.title+", "+title)
	c.text(4, 14, textSize, "start", "ink strong", fit(title, textSize, width-8))
	x, y := bounds(spots, func(s spot) float64 { return s.x }, t.logX), bounds(spots, func(s spot) float64 { return s.y }, t.logY)
	x.from, x.to, y.from, y.to = left, width-right, height-bottom, top
	c.axes(x, y, 6, 6, t.xName)
	c.text(4, top-14, 11, "start", "mute", t.yName)
	var xs, ys []float64
	for _, s := range t.frontier(spots) {
		xs, ys = append(xs, x.at(s.x)), append(ys, y.at(s.y))
	}
	c.polyline(xs, ys, "front")
	for _, s := range spots {
		c.circle(x.at(s.x), y.at(s.y), 5, seriesClass(s.coder)+" spot", fmt.Sprintf("%s\n%s: %s\n%s: %s", s.name, t.xName, short(s.x), t.yName, short(s.y)))
	}
	for _, s := range spots {
		c.tag(x.at(s.x), y.at(s.y), 11, s.name)
	}
	return c
}

// frontier is the spots that none with a smaller x beats, by rising x.
func (t tradeoff) frontier(spots []spot) (out []spot) {
	sorted := slices.Clone(spots)
	slices.SortStableFunc(sorted, func(a, b spot) int {
		return cmp.Or(cmp.Compare(a.x, b.x), map[bool]int{true: -1, false: 1}[t.better(a.y, b.y)])
	})
	for _, s := range sorted {
		if len(out) == 0 || t.better(s.y, out[len(out)-1].y) {
			out = append(out, s)
		}
	}
	return out
}

// bounds is a scale around the spots, with room for their marks.
func bounds(spots []spot, of func(spot) float64, log bool) scale {
	s := scale{lo: math.Inf(1), hi: math.Inf(-1), log: log}
	for _, p := range spots {
		s.lo, s.hi = math.Min(s.lo, of(p)), math.Max(s.hi, of(p))
	}
	if log {
		s.lo, s.hi = s.lo/1.3, s.hi*1.3
		return s
	}
	pad := math.Max((s.hi-s.lo)*.08, 1e-6)
	s.lo, s.hi = s.lo-pad, s.hi+pad
	return s.widen(6)
}
