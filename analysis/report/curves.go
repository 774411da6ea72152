package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// metric says how a number of metrics.jsonl is drawn.
type metric struct {
	key, title string
	log        bool // logarithmic when all values are positive and span a factor of 8
}

// metrics in the order of their panels; others follow by name.
var metrics = []metric{
	{"loss", "loss", true},
	{"fvu", "FVU: share of variance unexplained", true},
	{"l0", "L0: active latents per token", true},
	{"dead", "dead latents", false},
	{"perplexity", "codebook perplexity, codes", false},
	{"usage", "codebook usage, share of codes", false},
	{"revived", "revived codes", false},
}

// untold are numbers that are another way to say FVU, or the same from the first step to the last.
var untold = []string{"ev", "ev_legacy", "fve_var", "mse", "bits", "rows"}

const maxPanels = 12

// drawable bounds the numbers of a panel; what lies beyond has diverged, and
// differences of such numbers overflow.
const drawable = 1e100

// panelsOf draws one small multiple for each metric that any coder has.
func panelsOf(coders []Coder) []template.HTML {
	var out []template.HTML
	for _, m := range metricsOf(coders) {
		out = append(out, drawPanel(coders, m).svg())
	}
	return out
}

// metricsOf are the numbers that training measured and a drawing is worth.
func metricsOf(coders []Coder) []metric {
	seen := map[string]bool{}
	for _, c := range coders {
		for _, p := range c.Points {
			for key, v := range p.Values {
				if !math.IsNaN(v) {
					seen[key] = true
				}
			}
		}
	}
	var out []metric
	for _, m := range metrics {
		if seen[m.key] {
			out = append(out, m)
		}
		delete(seen, m.key)
	}
	for _, key := range untold {
		delete(seen, key)
	}
	rest := make([]string, 0, len(seen))
	for key := range seen {
		rest = append(rest, key)
	}
	slices.Sort(rest)
	for _, key := range rest {
		out = append(out, metric{key: key, title: key})
	}
	return out[:min(len(out), maxPanels)]
}

// curve is one line of a panel.
type curve struct {
	xs, ys []float64
	coder  int
	eval   bool
}

func drawPanel(coders []Coder, m metric) *canvas {
	const width, height, left, right, top, bottom = 350.0, 206.0, 46.0, 12.0, 28.0, 36.0
	c := newCanvas(width, height, m.title)
	c.text(4, 14, textSize, "start", "ink strong", m.title)
	byTokens := allHaveTokens(coders)
	curves := curvesOf(coders, m.key, byTokens)
	x, y := scalesOf(curves, m)
	x.from, x.to, y.from, y.to = left, width-right, height-bottom, top
	unit := "steps"
	if byTokens {
		unit = "tokens"
	}
	c.axes(x, y, 5, 6, unit)
	for _, k := range curves {
		drawCurve(c, k, x, y, coders[k.coder].Name+", "+m.key, unit)
	}
	return c
}

func allHaveTokens(coders []Coder) bool {
	for _, c := range coders {
		for _, p := range c.Points {
			if p.Rows <= 0 && p.Step > 0 {
				return false
			}
		}
	}
	return true
}

// curvesOf returns the train curves first, so that eval points lie on top.
func curvesOf(coders []Coder, key string, byTokens bool) []curve {
	var out []curve
	for _, eval := range []bool{false, true} {
		for i, coder := range coders {
			k := curve{coder: i, eval: eval}
			for _, p := range coder.Points {
				v, ok := p.Values[key]
				if (p.Split == "eval") != eval || !ok || math.Abs(v) > drawable {
					continue
				}
				x := float64(p.Step)
				if byTokens {
					x = float64(p.Rows)
				}
				k.xs, k.ys = append(k.xs, x), append(k.ys, v)
			}
			if len(k.xs) > 0 {
				out = append(out, k)
			}
		}
	}
	return out
}

func scalesOf(curves []curve, m metric) (x, y scale) {
	x = scale{lo: math.Inf(1), hi: math.Inf(-1)}
	y = x
	for _, k := range curves {
		for i := range k.xs {
			if !math.IsNaN(k.ys[i]) {
				x.lo, x.hi = math.Min(x.lo, k.xs[i]), math.Max(x.hi, k.xs[i])
				y.lo, y.hi = math.Min(y.lo, k.ys[i]), math.Max(y.hi, k.ys[i])
			}
		}
	}
	if math.IsInf(x.lo, 0) {
		x, y = scale{hi: 1}, scale{hi: 1}
	}
	x.lo = math.Min(0, x.lo)
	y.log = m.log && y.lo > 1/drawable && y.hi/y.lo > 8
	if !y.log && y.lo >= 0 && y.lo < y.hi/2 {
		y.lo = 0
	}
	return x, y.widen(5)
}

// drawCurve draws the line, thinned to what the panel can show, with a few
// marked points that carry the numbers.
func drawCurve(c *canvas, k curve, x, y scale, name, unit string) {
	class := seriesClass(k.coder) + " train"
	split := "train"
	if k.eval {
		class, split = seriesClass(k.coder)+" eval", "eval"
	}
	xs, ys := thin(k.xs, k.ys, 320)
	px, py := make([]float64, len(xs)), make([]float64, len(ys))
	for i := range xs {
		px[i], py[i] = x.at(xs[i]), y.at(ys[i])
	}
	c.polyline(px, py, class)
	step := max(1, (len(xs)+23)/24)
	for i := (len(xs) - 1) % step; i < len(xs); i += step {
		if !math.IsNaN(py[i]) {
			c.circle(px[i], py[i], 3, class, fmt.Sprintf("%s (%s)\n%s at %s %s", name, split, short(ys[i]), short(xs[i]), unit))
		}
	}
}

// thin keeps the first and the last point and, of each of n/2 equal stretches,
// the lowest and the highest, so that spikes survive.
func thin(xs, ys []float64, n int) (tx, ty []float64) {
	if len(xs) <= n {
		return xs, ys
	}
	keep := []int{0}
	for b := range n / 2 {
		lo, hi := b*len(xs)/(n/2), (b+1)*len(xs)/(n/2)
		least, most := lo, lo
		for i := lo; i < hi; i++ {
			if ys[i] < ys[least] {
				least = i
			}
			if ys[i] > ys[most] {
				most = i
			}
		}
		keep = append(keep, min(least, most), max(least, most))
	}
	keep = slices.Compact(append(keep, len(xs)-1))
	for _, i := range keep {
		tx, ty = append(tx, xs[i]), append(ty, ys[i])
	}
	return tx, ty
}
