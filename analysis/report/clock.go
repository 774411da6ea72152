package report

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// clock maps time to pixels. Idle stretches of the whole fleet, such as the
// hours between an interrupted night and the next morning, become short breaks,
// so that the work stays readable.
type clock struct {
	stretches []stretch
	pxPerSec  float64
}

// stretch is time in which some node was alive.
type stretch struct {
	start, end time.Time
	x          float64
}

const breakWidth = 36.0

func newClock(nodes []Node, from, to float64) clock {
	s := busy(nodes)
	total := 0.0
	for _, v := range s {
		total += v.end.Sub(v.start).Seconds()
	}
	room := math.Max(1, to-from-16-breakWidth*float64(max(0, len(s)-1)))
	c := clock{stretches: s, pxPerSec: room / math.Max(total, 1e-3)}
	x := from
	for i := range s {
		s[i].x = x
		x += c.pxPerSec*s[i].end.Sub(s[i].start).Seconds() + breakWidth
	}
	return c
}

// busy merges the nodes' lives; only gaps longer than a quarter of all busy
// time stay gaps, and at most the six longest of them.
func busy(nodes []Node) []stretch {
	var lives []stretch
	for _, n := range nodes {
		lives = append(lives, stretch{start: n.Start, end: n.End})
	}
	slices.SortFunc(lives, func(a, b stretch) int { return a.start.Compare(b.start) })
	merged := mergeGaps(lives, 0)
	total := time.Duration(0)
	for _, s := range merged {
		total += s.end.Sub(s.start)
	}
	shortest := max(total/4, time.Second)
	for merged = mergeGaps(merged, shortest); len(merged) > 7; shortest *= 2 {
		merged = mergeGaps(merged, shortest)
	}
	return merged
}

func mergeGaps(sorted []stretch, shorter time.Duration) (out []stretch) {
	for _, s := range sorted {
		if last := len(out) - 1; last >= 0 && s.start.Sub(out[last].end) <= shorter {
			if s.end.After(out[last].end) {
				out[last].end = s.end
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// at is the pixel of a time; a time within a break is at the break's start.
func (c clock) at(t time.Time) float64 {
	x := 0.0
	for i, s := range c.stretches {
		if i > 0 && t.Before(s.start) {
			return x
		}
		d := min(t.Sub(s.start), s.end.Sub(s.start)).Seconds()
		x = s.x + c.pxPerSec*math.Max(0, d)
	}
	return x
}

// draw marks elapsed time within each stretch and labels the breaks.
func (c clock) draw(canvas *canvas, top, bottom float64) {
	free := math.Inf(-1) // right end of the last label
	for i, s := range c.stretches {
		seconds := s.end.Sub(s.start).Seconds()
		end := s.x + c.pxPerSec*seconds
		if i > 0 {
			c.drawBreak(canvas, c.stretches[i-1], s, top, bottom)
		}
		step := timeStep(90 / c.pxPerSec)
		for t := 0.0; t <= seconds; t += step {
			x := s.x + c.pxPerSec*t
			canvas.line(x, top, x, bottom, "grid")
			label := elapsed(t, step)
			if t == 0 {
				label = s.start.UTC().Format("Jan 2 15:04:05")
			}
			if x-textWidth(label, 11)/2 > free+6 {
				canvas.text(x, bottom+16, 11, "middle", "mute num", label)
				free = x + textWidth(label, 11)/2
			}
		}
		canvas.line(s.x, bottom, end, bottom, "axis")
	}
}

func (c clock) drawBreak(canvas *canvas, before, after stretch, top, bottom float64) {
	x := before.x + c.pxPerSec*before.end.Sub(before.start).Seconds()
	canvas.rect(x+14, top, after.x-x-18, bottom-top, "break", fmt.Sprintf("nothing ran for %s", span(after.start.Sub(before.end))))
	canvas.text((x+after.x)/2, bottom+32, 11, "middle", "mute", span(after.start.Sub(before.end))+" idle")
}

// timeStep is the smallest customary step of at least s seconds.
func timeStep(s float64) float64 {
	for _, v := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600, 86400} {
		if v >= s {
			return v
		}
	}
	if s > 86400 {
		return 86400 * niceStep(s/86400)
	}
	return niceStep(s)
}

// elapsed writes t seconds in the unit of the step.
func elapsed(t, step float64) string {
	switch {
	case step < 60:
		if t >= 60 {
			return fmt.Sprintf("+%d:%02d", int(t)/60, int(t)%60)
		}
		return "+" + trim(t) + " s"
	case step < 3600:
		if t >= 3600 {
			return fmt.Sprintf("+%d:%02d h", int(t)/3600, int(t)/60%60)
		}
		return fmt.Sprintf("+%d min", int(t)/60)
	case step < 86400:
		return fmt.Sprintf("+%d h", int(t)/3600)
	}
	return fmt.Sprintf("+%d d", int(t)/86400)
}
