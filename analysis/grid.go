package analysis

import (
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// grid is a table as text.
type grid struct {
	head   []string
	cells  [][]string
	right  []bool // numbers
	widths []int
	order  []int // columns shown; −1 is the gap
}

func newGrid(t *Table, rows [][]any) *grid {
	g := &grid{cells: make([][]string, len(rows)), right: make([]bool, len(t.Columns)), widths: make([]int, len(t.Columns))}
	for i := range rows {
		g.cells[i] = make([]string, len(t.Columns))
	}
	for c, name := range t.Columns {
		g.head = append(g.head, printable(name))
		g.order = append(g.order, c)
		g.right[c] = fillColumn(g.cells, rows, c)
		g.widths[c] = lipgloss.Width(g.head[c])
		for i := range rows {
			g.widths[c] = max(g.widths[c], lipgloss.Width(g.cells[i][c]))
		}
		g.widths[c] = min(g.widths[c], maxCell)
	}
	return g
}

const columnSpace = 2

// fit narrows the widest columns and then leaves out columns from the middle.
func (g *grid) fit(width int) {
	if width <= 0 {
		return
	}
	const least = 12 // text of fewer columns says nothing
	for g.total() > width {
		widest := slices.Index(g.widths, slices.Max(g.widths))
		if g.right[widest] || g.widths[widest] <= least {
			break
		}
		g.widths[widest]--
	}
	if g.total() <= width {
		return
	}
	for len(g.order) > 3 && g.total() > width {
		middle := len(g.order) / 2
		if at := slices.Index(g.order, -1); at >= 0 {
			g.order = slices.Delete(g.order, at, at+1)
			middle = at - len(g.order)%2 // by turns left and right of the gap
		}
		middle = min(max(middle, 1), len(g.order)-2)
		g.order[middle] = -1
	}
}

func (g *grid) total() int {
	n := -columnSpace
	for _, c := range g.order {
		n += columnSpace + g.width(c)
	}
	return n
}

func (g *grid) width(c int) int {
	if c < 0 {
		return 1
	}
	return g.widths[c]
}

func (g *grid) line(b *strings.Builder, cells []string) {
	for i, c := range g.order {
		text, right := "…", false
		if c >= 0 {
			text, right = truncate(cells[c], g.widths[c]), g.right[c]
		}
		space := strings.Repeat(" ", g.width(c)-lipgloss.Width(text))
		switch {
		case right:
			text = space + text
		case i < len(g.order)-1:
			text += space
		}
		if i > 0 {
			b.WriteString(strings.Repeat(" ", columnSpace))
		}
		b.WriteString(text)
	}
	b.WriteByte('\n')
}

func (g *grid) rule(b *strings.Builder) {
	for i, c := range g.order {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", columnSpace))
		}
		b.WriteString(strings.Repeat("─", g.width(c)))
	}
	b.WriteByte('\n')
}

// truncate shortens s to a width in terminal columns.
func truncate(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && lipgloss.Width(string(r)) > width-1 {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}
