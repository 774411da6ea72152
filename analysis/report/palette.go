package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

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
