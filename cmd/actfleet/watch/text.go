package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"actfleet/coordinator"
)

// Summary is the Frame in one line.
func (f Frame) Summary() string {
	parts := []string{fmt.Sprintf("%d of %d units committed", f.Done, f.Total)}
	if f.Throughput > 0 {
		parts = append(parts, fmt.Sprintf("%.3g units/s", f.Throughput))
	}
	if f.ETA > 0 {
		parts = append(parts, "ETA "+timeText(f.ETA))
	}
	if n := len(f.live()); n > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", n, plural("node", n)))
	}
	if n := f.count(Claimed); n > 0 {
		parts = append(parts, fmt.Sprintf("%d in work", n))
	}
	if n := f.count(Spare); n > 0 {
		parts = append(parts, fmt.Sprintf("%d spare", n))
	}
	return strings.Join(parts, ", ")
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func (f Frame) live() []coordinator.NodeProgress {
	return slices.DeleteFunc(slices.Clone(f.Nodes), func(n coordinator.NodeProgress) bool { return !n.Live })
}

// timeText writes a duration to the second, or to the tenth below ten seconds.
func timeText(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

var nodeHead = []string{"node", "state", "units", "share", "units/s", "last beat", "works on"}

// nodeRow is a node as the table shows it.
func nodeRow(n coordinator.NodeProgress) []string {
	var units []string
	for _, c := range n.Claims {
		units = append(units, strconv.Itoa(c.Unit))
	}
	return []string{string(n.Node), n.State(), strconv.Itoa(n.Done), fmt.Sprintf("%.0f %%", 100*n.Share),
		fmt.Sprintf("%.3g", n.Speed), timeText(n.Age) + " ago", strings.Join(units, " ")}
}

// nodeTable lists the nodes, those alive first, in at most height lines of at most width cells.
func nodeTable(nodes []coordinator.NodeProgress, width, height int) []string {
	if len(nodes) == 0 || height < 2 {
		return nil
	}
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b coordinator.NodeProgress) int {
		return cmp.Or(-compareBool(a.Live, b.Live), cmp.Compare(a.Node, b.Node))
	})
	rows := [][]string{nodeHead}
	for i, n := range nodes {
		if len(rows) == height-1 && i < len(nodes)-1 {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(nodes)-i)})
			break
		}
		rows = append(rows, nodeRow(n))
	}
	return align(rows, width)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// right says which columns stand on the right.
var right = map[int]bool{2: true, 3: true, 4: true, 5: true}

// align pads the columns to equal width and cuts the lines.
func align(rows [][]string, width int) []string {
	widths := make([]int, len(nodeHead))
	for _, row := range rows {
		for c, text := range row {
			if len(row) > 1 {
				widths[c] = max(widths[c], len(text))
			}
		}
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for c, text := range row {
			w := widths[c]
			if !right[c] {
				w = -w
			}
			fmt.Fprintf(&b, "%*s  ", w, text)
		}
		lines = append(lines, cut(strings.TrimRight(b.String(), " "), width))
	}
	return lines
}

// cut shortens a line of ASCII to width.
func cut(s string, width int) string {
	if len(s) <= width {
		return s
	}
	return s[:max(0, width-1)] + "…"
}
