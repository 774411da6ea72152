package analysis

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
