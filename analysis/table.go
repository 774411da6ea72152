package analysis

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/duckdb/duckdb-go/v2"
)

// ErrCut says that an answer was too long to be written whole.
var ErrCut = errors.New("answer cut")

// Table is the answer to a query.
type Table struct {
	Columns []string
	Types   []string // of DuckDB
	Rows    [][]any
	Cut     bool // there are more rows
}

// tableRows is how many rows a rendered table has at most; of more, the first
// and the last half are shown.
const tableRows = 200

// maxCell is the width of a cell in a table that has no width of its own.
const maxCell = 60

// Render writes the table as text, numbers to the right, at most width columns
// wide; 0 is no limit. Long values and, where that is not enough, the columns
// in the middle give way to "…".
func (t *Table) Render(w io.Writer, width int) error {
	if len(t.Columns) == 0 || len(t.Columns) == 1 && len(t.Rows) == 0 && t.Columns[0] == "Count" {
		return nil // a statement without an answer
	}
	shown, gap := t.Rows, -1
	if len(shown) > tableRows {
		gap = tableRows / 2
		shown = slices.Concat(shown[:gap], shown[len(shown)-gap:])
	}
	g := newGrid(t, shown)
	g.fit(width)
	var b strings.Builder
	g.line(&b, g.head)
	g.rule(&b)
	for i := range shown {
		if i == gap {
			fmt.Fprintf(&b, "⋮ %d rows\n", len(t.Rows)-len(shown))
		}
		g.line(&b, g.cells[i])
	}
	b.WriteString(t.footer(len(g.order) - 1))
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) footer(columns int) string {
	text := fmt.Sprintf("%d rows", len(t.Rows))
	if len(t.Rows) == 1 {
		text = "1 row"
	}
	if columns < len(t.Columns)-1 {
		text += fmt.Sprintf(", %d of %d columns", columns, len(t.Columns))
	}
	if t.Cut {
		text += ", and more that are not read: add a LIMIT, or aggregate"
	}
	return text + "\n"
}

// JSON writes an array with one object per row, columns in their order. It
// returns ErrCut, after writing, when there are more rows.
func (t *Table) JSON(w io.Writer) error {
	names := make([][]byte, len(t.Columns))
	for i, c := range t.Columns {
		names[i], _ = json.Marshal(c) // a string
	}
	var b strings.Builder
	b.WriteString("[")
	for i, row := range t.Rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n{")
		for c, v := range row {
			if c > 0 {
				b.WriteByte(',')
			}
			data, err := json.Marshal(jsonValue(v))
			if err != nil {
				return fmt.Errorf("write column %q as JSON: %w", t.Columns[c], err)
			}
			b.Write(names[c])
			b.WriteByte(':')
			b.Write(data)
		}
		b.WriteByte('}')
		if b.Len() > 1<<20 {
			if err := flush(w, &b); err != nil {
				return err
			}
		}
	}
	b.WriteString("\n]\n")
	return errors.Join(flush(w, &b), t.cutError())
}

func flush(w io.Writer, b *strings.Builder) error {
	_, err := io.WriteString(w, b.String())
	b.Reset()
	return err
}

// CSV writes a header and the rows; lists are written as JSON. It returns
// ErrCut, after writing, when there are more rows.
func (t *Table) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(t.Columns); err != nil {
		return err
	}
	record := make([]string, len(t.Columns))
	for _, row := range t.Rows {
		for i, v := range row {
			record[i] = exact(v)
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return errors.Join(c.Error(), t.cutError())
}

func (t *Table) cutError() error {
	if !t.Cut {
		return nil
	}
	return fmt.Errorf("%w after %d rows: ask for fewer columns or rows", ErrCut, len(t.Rows))
}

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

// fillColumn writes one column of cells and tells whether it holds numbers.
func fillColumn(cells [][]string, rows [][]any, c int) (numbers bool) {
	floats, all := []float64{}, true
	for _, row := range rows {
		v := row[c]
		_, isNumber := v.(*big.Int)
		switch x := v.(type) {
		case float32:
			floats = append(floats, float64(x))
		case float64:
			floats = append(floats, x)
		case int8, int16, int32, int64, uint8, uint16, uint32, uint64, duckdb.Decimal, nil:
		default:
			all = all && isNumber
		}
	}
	write := floatWriter(floats)
	for i, row := range rows {
		switch x := row[c].(type) {
		case float32:
			cells[i][c] = write(float64(x))
		case float64:
			cells[i][c] = write(x)
		default:
			cells[i][c] = brief(x)
		}
	}
	return all && len(rows) > 0
}
