package watch

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// glyphs differ without colours, too.
var glyphs = map[Mark]string{Open: "·", Part: "▄", Done: "█", Claimed: "▒", Spare: "▓"}

// palette holds a style per mark, and those of the text.
type palette struct {
	mark        map[Mark]lipgloss.Style
	head, faint lipgloss.Style
	fault       lipgloss.Style
}

func newPalette(r *lipgloss.Renderer) palette {
	colour := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	return palette{
		mark:  map[Mark]lipgloss.Style{Open: colour("8"), Part: colour("2"), Done: colour("2"), Claimed: colour("3"), Spare: colour("5")},
		head:  r.NewStyle().Bold(true),
		faint: colour("8"),
		fault: colour("1"),
	}
}

// Bounds of the strip.
const (
	maxStripRows  = 6
	maxCellsAUnit = 4 // so that a few units are wide enough to be seen
)

// strip returns the marks as lines of at most width cells.
func strip(units []Mark, width int, p palette) []string {
	if len(units) == 0 || width < 1 {
		return nil
	}
	cells := cells(units, width*maxStripRows)
	repeat := max(1, min(maxCellsAUnit, width/len(cells)))
	perLine := width / repeat
	var lines []string
	for lo := 0; lo < len(cells); lo += perLine {
		lines = append(lines, paint(cells[lo:min(lo+perLine, len(cells))], repeat, p))
	}
	return lines
}

// cells joins neighbouring units until there are at most n.
func cells(units []Mark, n int) []Mark {
	n = min(n, len(units))
	out := make([]Mark, n)
	for i := range out {
		out[i] = join(units[i*len(units)/n : (i+1)*len(units)/n])
	}
	return out
}

// join is the mark of several units together: what somebody works on shows, and is done only what is done entirely.
func join(units []Mark) Mark {
	top, low := units[0], units[0]
	for _, u := range units[1:] {
		top, low = max(top, u), min(low, u)
	}
	if top == Done && low != Done {
		return Part
	}
	return top
}

// paint writes a line, one style for each stretch of equal cells.
func paint(cells []Mark, repeat int, p palette) string {
	var b strings.Builder
	for lo := 0; lo < len(cells); {
		hi := lo
		for hi < len(cells) && cells[hi] == cells[lo] {
			hi++
		}
		b.WriteString(p.mark[cells[lo]].Render(strings.Repeat(glyphs[cells[lo]], repeat*(hi-lo))))
		lo = hi
	}
	return b.String()
}
