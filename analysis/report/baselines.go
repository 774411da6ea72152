package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"actfleet/analysis/evaluate"
)

// mark is one row of the strip beside a heat map: a number with its interval.
type mark struct {
	name, note string
	v, lo, hi  float64
	probe      bool // the chosen probe, not a baseline
}

// baselineStrip draws the baselines of a split and the chosen probe on one
// AUROC axis, each with its accuracy.
func baselineStrip(t evaluate.Table, split string) template.HTML {
	return drawStrip(marksOf(t, split), split).svg()
}

func marksOf(t evaluate.Table, split string) []mark {
	var marks []mark
	for _, b := range t.Baselines {
		if b.Split != split {
			continue
		}
		m := mark{name: b.Name, v: float64(b.AUROC), lo: float64(b.Lo), hi: float64(b.Hi), note: accuracy(b.Acc, b.AccLo, b.AccHi)}
		if b.Coverage != nil {
			m.note = strings.TrimPrefix(m.note+fmt.Sprintf(", coverage %.2g", *b.Coverage), ", ")
		}
		if b.Name == evaluate.BaselineRandom {
			m.name, m.note = "random directions", "median, 5 % and 95 %"
		}
		marks = append(marks, m)
	}
	p, ok := t.Chosen()
	if m, measured := p.Splits[split]; ok && measured {
		marks = append(marks, mark{name: fmt.Sprintf("%s %s %d", p.Kind, siteName(p), p.Layer), probe: true, note: accuracy(m.Acc, m.AccLo, m.AccHi),
			v: float64(m.AUROC), lo: float64(m.AUROCLo), hi: float64(m.AUROCHi)})
	}
	return marks
}

func accuracy(v, lo, hi evaluate.Value) string {
	if !v.Defined() {
		return ""
	}
	if !lo.Defined() || !hi.Defined() {
		return fmt.Sprintf("accuracy %.1f %%", 100*v)
	}
	return fmt.Sprintf("accuracy %.1f [%.1f, %.1f] %%", 100*v, 100*lo, 100*hi)
}

func drawStrip(marks []mark, split string) *canvas {
	const left, plot, right, row, top = 186.0, 184.0, 14.0, 38.0, 8.0
	bottom := top + row*float64(len(marks))
	c := newCanvas(left+plot+right, bottom+36, "AUROC of the baselines on "+split)
	x := scale{lo: lowest(marks), hi: 1, from: left, to: left + plot}
	for _, t := range x.ticks(6) {
		c.line(x.at(t), top, x.at(t), bottom, "grid")
		c.text(x.at(t), bottom+16, 11, "middle", "mute num", fmt.Sprintf("%.1f", t))
	}
	c.line(x.at(.5), top, x.at(.5), bottom, "axis")
	c.text(left+plot/2, bottom+31, 11, "middle", "mute", "AUROC")
	for i, m := range marks {
		drawMark(c, x, m, left-12, top+row*(float64(i)+.5))
	}
	return c
}

// lowest is the left end of the axis: 0.4, or less when a mark needs it.
func lowest(marks []mark) float64 {
	low := 0.4
	for _, m := range marks {
		for _, v := range []float64{m.v, m.lo} {
			if !math.IsNaN(v) {
				low = math.Min(low, math.Floor(v*10)/10)
			}
		}
	}
	return math.Max(0, low)
}

func drawMark(c *canvas, x scale, m mark, labelX, y float64) {
	class := "mark"
	if m.probe {
		class = "mark probe"
	}
	nameY := y + 4
	if m.note != "" {
		nameY = y - 3
		c.text(labelX, y+11, 10, "end", "mute num", m.note)
	}
	c.text(labelX, nameY, textSize, "end", "ink", fit(m.name, textSize, labelX))
	if !math.IsNaN(m.lo) && !math.IsNaN(m.hi) && m.hi > m.lo {
		c.line(x.at(m.lo), y, x.at(m.hi), y, class)
	}
	if !math.IsNaN(m.v) {
		tip := fmt.Sprintf("%s\nAUROC %s\n%s", m.name, interval(evaluate.Value(m.v), evaluate.Value(m.lo), evaluate.Value(m.hi)), m.note)
		c.circle(x.at(m.v), y, 4.5, class, tip)
	}
}
