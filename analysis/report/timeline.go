package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// timeline draws one lane per node and one bar per unit it worked on.
func timeline(f Fleet) template.HTML { return drawTimeline(f).svg() }

const (
	laneHeight    = 24.0
	laneGap       = 6.0
	timelineWidth = 1090.0
	maxTracks     = 3 // units that a node works on at once and that get a track of their own
)

func drawTimeline(f Fleet) *canvas {
	lanes := lanesOf(f.Nodes)
	const right, top = 86.0, 18.0
	left := labelWidth(lanes)
	plot := timelineWidth - left - right
	bottom := top + float64(len(lanes))*(laneHeight+laneGap)
	c := newCanvas(timelineWidth, bottom+38, "timeline of the fleet: one lane per node, one bar per unit")
	clock := newClock(f.Nodes, left, left+plot)
	clock.draw(c, top, bottom)
	c.text(left+plot+12, top-5, 11, "start", "mute", "units won")
	for i, lane := range lanes {
		y := top + float64(i)*(laneHeight+laneGap) + laneGap/2
		c.text(left-12, y+laneHeight/2+4, textSize, "end", "ink", fit(lane[0].Name, textSize, left-16))
		won := 0
		for _, node := range lane {
			won += drawNode(c, clock, node, y)
		}
		c.text(left+plot+12, y+laneHeight/2+4, textSize, "start", "ink num", whole(int64(won)))
	}
	return c
}

// lanesOf puts the processes of one name in one lane.
func lanesOf(nodes []Node) (lanes [][]Node) {
	at := map[string]int{}
	for _, n := range nodes {
		i, ok := at[n.Name]
		if !ok {
			i = len(lanes)
			at[n.Name] = i
			lanes = append(lanes, nil)
		}
		lanes[i] = append(lanes[i], n)
	}
	slices.SortStableFunc(lanes, func(a, b []Node) int { return natural(a[0].Name, b[0].Name) })
	return lanes
}

// labelWidth is the room for the longest node name, within reason.
func labelWidth(lanes [][]Node) float64 {
	widest := 40.0
	for _, lane := range lanes {
		widest = math.Max(widest, textWidth(lane[0].Name, textSize))
	}
	return math.Min(widest, 200) + 28
}

// drawNode returns the number of units the node won.
func drawNode(c *canvas, clock clock, n Node, y float64) (won int) {
	x0, x1 := clock.at(n.Start), clock.at(n.End)
	c.rect(x0, y+laneHeight/2-1, math.Max(1, x1-x0), 2, "alive", "")
	tracks := tracksOf(n.Spans)
	height := (laneHeight - 4) / float64(max(1, slices.Max(append(tracks, 0))+1))
	for i, s := range n.Spans {
		if s.Outcome == Won {
			won++
		}
		from, to := clock.at(s.Start), clock.at(s.End)
		w := math.Max(1.2, to-from-0.8) // a hairline between neighbours, and never nothing
		c.rect(from, y+2+height*float64(tracks[i]), w, height-0.6, "bar "+string(s.Outcome), spanTip(n, s))
	}
	if n.Left {
		c.line(x1+2, y+3, x1+2, y+laneHeight-3, "left")
	} else {
		c.cross(x1+7, y+laneHeight/2, 4.5, "died", endTip(n))
	}
	return won
}

// tracksOf gives spans that overlap in time different tracks, at most maxTracks.
func tracksOf(spans []Span) []int {
	var free [maxTracks]time.Time
	tracks := make([]int, len(spans))
	for i, s := range spans {
		best := 0
		for t := range free {
			if !free[t].After(s.Start) {
				best = t
				break
			}
			if free[t].Before(free[best]) {
				best = t
			}
		}
		tracks[i], free[best] = best, s.End
	}
	return tracks
}

func spanTip(n Node, s Span) string {
	d := s.End.Sub(s.Start)
	if s.Seconds > 0 {
		d = time.Duration(s.Seconds * float64(time.Second))
	}
	tip := fmt.Sprintf("unit %d on %s: %s\n%s, from %s", s.Unit, n.Name, s.Outcome, span(d), s.Start.UTC().Format("15:04:05"))
	if s.Rows > 0 {
		tip += fmt.Sprintf("\n%s rows", whole(s.Rows))
		if d > 0 {
			tip += fmt.Sprintf(", %s rows/s", short(float64(s.Rows)/d.Seconds()))
		}
	}
	if s.Bytes > 0 {
		tip += "\n" + size(s.Bytes)
	}
	return tip
}

func endTip(n Node) string {
	tip := fmt.Sprintf("%s: last word at %s, no leave", n.Name, n.End.UTC().Format("2006-01-02 15:04:05"))
	if n.Error != "" {
		tip += "\n" + n.Error
	}
	return tip
}

// natural compares names with their numbers as numbers: n2 before n10.
func natural(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if d := strings.Compare(x, y); d != 0 {
				return d
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

type fleetView struct {
	ID, Name string
	Legend   []entry
	SVG      template.HTML
	Outcomes []Outcome
	Rows     []nodeRow
	Skipped  int
}

type nodeRow struct {
	Node, Host, PID, Alive string
	Counts                 []int
	Rows, Bytes, Rate, End string
}

func fleetOf(f Fleet, id string) fleetView {
	v := fleetView{ID: id, Name: f.Name, SVG: timeline(f), Outcomes: Outcomes, Skipped: f.Skipped}
	for _, o := range Outcomes {
		v.Legend = append(v.Legend, entry{string(o), string(o)})
	}
	for _, n := range f.Nodes {
		v.Rows = append(v.Rows, nodeRowOf(n))
	}
	return v
}

func nodeRowOf(n Node) nodeRow {
	r := nodeRow{Node: n.Name, Host: n.Host, PID: fmt.Sprint(n.PID), Alive: span(n.End.Sub(n.Start)), Counts: make([]int, len(Outcomes)), Rate: "–", End: "left"}
	if !n.Left {
		r.End = "no leave, last word " + n.End.UTC().Format("15:04:05")
	}
	if n.Error != "" {
		r.End += ": " + n.Error
	}
	rows, bytes, seconds := int64(0), int64(0), 0.0
	for _, s := range n.Spans {
		r.Counts[slices.Index(Outcomes, s.Outcome)]++
		if s.Outcome == Won {
			rows, bytes, seconds = rows+s.Rows, bytes+s.Bytes, seconds+cmp.Or(s.Seconds, s.End.Sub(s.Start).Seconds())
		}
	}
	r.Rows, r.Bytes = whole(rows), size(bytes)
	if seconds > 0 && rows > 0 {
		r.Rate = short(float64(rows) / seconds)
	}
	return r
}

func (c *canvas) cross(x, y, r float64, class, tip string) {
	c.printf(`<path d="M%s %sl%s %sm0 -%sl-%s %s" class="%s"`, num(x-r), num(y-r), num(2*r), num(2*r), num(2*r), num(2*r), num(2*r), class)
	c.closeWith("path", tip)
}
