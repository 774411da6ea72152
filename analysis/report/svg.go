package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"unicode/utf8"
)

// canvas collects the marks of one drawing. Colours come from CSS classes, so
// that one drawing serves light and dark pages.
type canvas struct {
	width, height float64
	label         string // what a screen reader says
	out           bytes.Buffer
	texts         []textBox // where text stands; tests check that none overlap
}

type textBox struct {
	x0, y0, x1, y1 float64
	text           string
}

// charWidth is the width of an average character of a sans-serif face as a
// share of the font size; figures are a little wider than letters.
const charWidth = 0.58

func newCanvas(width, height float64, label string) *canvas {
	return &canvas{width: width, height: height, label: label}
}

// num writes a coordinate with one decimal at most.
func num(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

func (c *canvas) rect(x, y, w, h float64, class, tip string) {
	c.printf(`<rect x="%s" y="%s" width="%s" height="%s" class="%s"`, num(x), num(y), num(w), num(h), class)
	c.closeWith("rect", tip)
}

func (c *canvas) circle(x, y, r float64, class, tip string) {
	c.printf(`<circle cx="%s" cy="%s" r="%s" class="%s"`, num(x), num(y), num(r), class)
	c.closeWith("circle", tip)
}

func (c *canvas) line(x0, y0, x1, y1 float64, class string) {
	c.printf(`<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`, num(x0), num(y0), num(x1), num(y1), class)
}

// closeWith ends a tag, with a tooltip when there is one.
func (c *canvas) closeWith(tag, tip string) {
	if tip == "" {
		c.printf("/>")
		return
	}
	c.printf("><title>%s</title></%s>", html.EscapeString(tip), tag)
}

// polyline draws a line through points; a NaN lifts the pen.
func (c *canvas) polyline(xs, ys []float64, class string) {
	pen := false
	c.printf(`<path class="%s" d="`, class)
	for i := range xs {
		if math.IsNaN(xs[i]) || math.IsNaN(ys[i]) {
			pen = false
			continue
		}
		command := "M"
		if pen {
			command = "L"
		}
		c.printf("%s%s %s", command, num(xs[i]), num(ys[i]))
		pen = true
	}
	c.printf(`"/>`)
}

// text draws one line of text; anchor is start, middle or end, y the baseline.
func (c *canvas) text(x, y, size float64, anchor, class, s string) {
	c.printf(`<text x="%s" y="%s" font-size="%s" text-anchor="%s" class="%s">%s</text>`, num(x), num(y), num(size), anchor, class, html.EscapeString(s))
	w := textWidth(s, size)
	x0 := x
	switch anchor {
	case "middle":
		x0 -= w / 2
	case "end":
		x0 -= w
	}
	c.texts = append(c.texts, textBox{x0, y - 0.8*size, x0 + w, y + 0.2*size, s})
}

func textWidth(s string, size float64) float64 {
	return float64(utf8.RuneCountInString(s)) * size * charWidth
}

// fit shortens s with an ellipsis to a width.
func fit(s string, size, width float64) string {
	r, most := []rune(s), int(width/(size*charWidth))
	if len(r) <= most || most < 2 {
		return s
	}
	return string(r[:most-1]) + "…"
}

// svg is the finished drawing. It keeps its size and scrolls in its figure on a
// narrow screen: scaled text would be unreadable.
func (c *canvas) svg() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">%s</svg>`,
		num(c.width), num(c.height), num(c.width), num(c.height), html.EscapeString(c.label), c.out.String()))
}

// tag writes s beside a mark at x, y where that covers no other text; where all sides are taken, nowhere.
func (c *canvas) tag(x, y, size float64, s string) {
	s = fit(s, size, c.width*.6)
	for _, at := range []struct {
		dx, dy float64
		anchor string
	}{{0, -10, "middle"}, {9, 4, "start"}, {-9, 4, "end"}, {0, 19, "middle"}, {9, -7, "start"}, {-9, -7, "end"}, {9, 15, "start"}, {-9, 15, "end"}} {
		before, written := c.out.Len(), len(c.texts)
		c.text(x+at.dx, y+at.dy, size, at.anchor, "ink tag", s)
		if c.free(c.texts[written], written) {
			return
		}
		c.out.Truncate(before)
		c.texts = c.texts[:written]
	}
}

// free tells whether a box lies inside and covers none of the first n texts.
func (c *canvas) free(a textBox, n int) bool {
	for _, b := range c.texts[:n] {
		if a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1 {
			return false
		}
	}
	return a.x0 >= 0 && a.x1 <= c.width && a.y0 >= 0 && a.y1 <= c.height
}
