package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scale maps values to pixels, linearly or by logarithm.
type scale struct {
	lo, hi   float64 // values
	from, to float64 // pixels
	log      bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if hi == lo {
		return (s.from + s.to) / 2
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// widen makes room around equal or nearly equal bounds and rounds them outwards
// to the ticks of a linear scale.
func (s scale) widen(n int) scale {
	if s.log {
		s.lo, s.hi = s.lo/1.1, s.hi*1.1
		return s
	}
	if s.hi-s.lo < 1e-9*math.Max(1e-6, math.Abs(s.hi)) {
		pad := math.Max(math.Abs(s.hi)*0.1, 1e-6)
		s.lo, s.hi = s.lo-pad, s.hi+pad
	}
	step := niceStep((s.hi - s.lo) / float64(n))
	s.lo, s.hi = math.Floor(s.lo/step+1e-9)*step, math.Ceil(s.hi/step-1e-9)*step
	return s
}

// ticks are at most about n round values within the scale.
func (s scale) ticks(n int) []float64 {
	if s.log {
		return logTicks(s.lo, s.hi, n)
	}
	if !(s.hi > s.lo) {
		return []float64{s.lo}
	}
	step := niceStep((s.hi - s.lo) / float64(n))
	first := math.Ceil(s.lo/step - 1e-9)
	count := int(math.Floor(s.hi/step+1e-9)-first) + 1
	var out []float64
	for i := range min(count, 2*n) { // more only where floats are too coarse for the range
		out = append(out, (first+float64(i))*step)
	}
	return out
}

// niceStep is the smallest of 1, 2, 5 times a power of ten that is at least v.
func niceStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v*(1-1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// logTicks prefers whole decades, then 1-2-5, then round linear values for less
// than one decade.
func logTicks(lo, hi float64, n int) []float64 {
	for _, mantissas := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		if t := decades(lo, hi, mantissas, 1); len(t) >= 2 && len(t) <= n {
			return t
		}
	}
	if span := math.Log10(hi) - math.Log10(lo); span > 1 {
		every := int(math.Ceil(span / float64(n)))
		return decades(lo, hi, []float64{1}, every)
	}
	return scale{lo: lo, hi: hi}.ticks(n)
}

func decades(lo, hi float64, mantissas []float64, every int) (out []float64) {
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Ceil(math.Log10(hi))); e++ {
		if e%every != 0 {
			continue
		}
		for _, m := range mantissas {
			if v := m * math.Pow(10, float64(e)); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				out = append(out, v)
			}
		}
	}
	return out
}

// axes draws the grid of y, the ticks of both scales with their numbers, at most about nx and ny of them, and the
// name of x below.
func (c *canvas) axes(x, y scale, nx, ny int, name string) {
	ticks := y.ticks(ny)
	for i, text := range numbers(ticks) {
		at := y.at(ticks[i])
		c.line(x.from, at, x.to, at, "grid")
		c.text(x.from-6, at+4, 11, "end", "mute num", text)
	}
	ticks = x.ticks(nx)
	for i, text := range numbers(ticks) {
		at := x.at(ticks[i])
		c.line(at, y.from, at, y.from+4, "axis")
		c.text(at, y.from+16, 11, "middle", "mute num", text)
	}
	c.line(x.from, y.from, x.to, y.from, "axis")
	c.text((x.from+x.to)/2, y.from+31, 11, "middle", "mute", name)
}

// numbers are ticks as short as they stay apart.
func numbers(ticks []float64) (out []string) {
	for _, v := range ticks {
		out = append(out, short(v))
	}
	if len(slices.Compact(slices.Clone(out))) == len(out) {
		return out
	}
	for i, v := range ticks {
		out[i] = strconv.FormatFloat(v, 'g', 6, 64)
	}
	return out
}

// short writes a number for an axis or a cell: three significant digits, k M G T
// above a thousand.
func short(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case a >= 1e15 || a > 0 && a < 1e-4:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
		n, _ := strconv.Atoi(exponent) // written by FormatFloat
		return strings.TrimSuffix(mantissa, ".0") + "e" + strconv.Itoa(n)
	case a >= 1e12:
		return trim(v/1e12) + "T"
	case a >= 1e9:
		return trim(v/1e9) + "G"
	case a >= 1e6:
		return trim(v/1e6) + "M"
	case a >= 1e4:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

func trim(v float64) string {
	digits := 3
	if a := math.Abs(v); a >= 1 {
		digits = max(0, 2-int(math.Floor(math.Log10(a))))
	} else if a > 0 {
		digits = 2 - int(math.Floor(math.Log10(a)))
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// whole writes a count with thin spaces between thousands.
func whole(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// size writes bytes in decimal units, as disks are sold.
func size(bytes int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	v, u := float64(bytes), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	return trim(v) + "\u00a0" + units[u]
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	s := d.Seconds()
	switch {
	case s < 10:
		return trim(s) + "\u00a0s"
	case s < 60:
		return fmt.Sprintf("%.0f\u00a0s", s)
	case s < 3600:
		return fmt.Sprintf("%d\u00a0min\u00a0%02d\u00a0s", int(s)/60, int(s)%60)
	case s < 48*3600:
		return fmt.Sprintf("%d\u00a0h\u00a0%02d\u00a0min", int(s)/3600, int(s)/60%60)
	}
	return fmt.Sprintf("%d\u00a0d\u00a0%d\u00a0h", int(s)/86400, int(s)/3600%24)
}
