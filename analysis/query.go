package analysis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// Bounds of one answer in memory, DB.maxRows and DB.maxValues. A vector counts with all its values; 16
// million values take about half a gigabyte.
const (
	maxAnswerRows   = 1_000_000
	maxAnswerValues = 16_000_000
)

// Form is how an answer is written.
type Form string

// The forms of an answer.
const (
	Text Form = "text" // a table for people
	JSON Form = "json" // an array of objects
	CSV  Form = "csv"
)

// Request is a question and how its answer is to be written.
type Request struct {
	SQL   string `json:"sql,omitempty"` // statements; the answer is the last one's
	Ask   string `json:"ask,omitempty"` // or a question that comes with the program
	Form  Form   `json:"form"`
	Width int    `json:"width,omitempty"` // of the terminal, for Text; 0: any
}

// Answer writes the answer to a request.
func (db *DB) Answer(ctx context.Context, w io.Writer, r Request) (err error) {
	var t *Table
	if r.Ask != "" {
		t, err = db.Ask(ctx, r.Ask)
	} else {
		t, err = db.Query(ctx, r.SQL)
	}
	switch {
	case err != nil:
		return err
	case r.Form == JSON:
		return t.JSON(w)
	case r.Form == CSV:
		return t.CSV(w)
	}
	for _, q := range Questions() {
		if q.Name == r.Ask {
			fmt.Fprintln(w, q.Title)
		}
	}
	return t.Render(w, r.Width)
}

// Query runs the statements of a text in turn and returns the answer of the
// last. An answer that is longer than a table in memory should be is cut, and
// says so. Errors are one line.
func (db *DB) Query(ctx context.Context, text string) (*Table, error) {
	statements, rest := split(text)
	if strings.TrimSpace(rest) != "" {
		statements = append(statements, rest)
	}
	t := &Table{}
	for _, s := range statements {
		var err error
		if t, err = db.queryOne(ctx, s); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (db *DB) queryOne(ctx context.Context, statement string) (*Table, error) {
	if err := db.guard(statement); err != nil {
		return nil, err
	}
	if err := db.fetch(ctx, statement); err != nil {
		return nil, err
	}
	rows, err := db.conn.QueryContext(ctx, statement)
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, db.failure(ctx, err)
	}
	t := &Table{}
	for _, c := range types {
		t.Columns = append(t.Columns, c.Name())
		t.Types = append(t.Types, c.DatabaseTypeName())
	}
	values := 0
	for rows.Next() {
		if len(t.Rows) == db.maxRows || values > db.maxValues {
			t.Cut = true
			return t, nil
		}
		row, into := make([]any, len(types)), make([]any, len(types))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, db.failure(ctx, err)
		}
		t.Rows = append(t.Rows, row)
		values += countValues(row)
	}
	return t, db.failure(ctx, rows.Err())
}

func countValues(v any) int {
	list, ok := v.([]any)
	if !ok {
		return 1
	}
	if len(list) > 0 {
		if _, nested := list[0].([]any); !nested && len(list) > 64 {
			return len(list) // a vector: its values are numbers
		}
	}
	n := 0
	for _, x := range list {
		n += countValues(x)
	}
	return n
}

// failure prefers the context's error: DuckDB only says that it was interrupted.
func (db *DB) failure(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return db.plainError(err)
}

// ErrMemory says that a question needs more memory than there may be used.
var ErrMemory = errors.New("the question needs more memory than is allowed")

// sqlError is an error of DuckDB on one line.
type sqlError struct {
	line  string
	cause error
}

func (e *sqlError) Error() string { return e.line }
func (e *sqlError) Unwrap() error { return e.cause }

var spaces = regexp.MustCompile(`\s+`)

// plainError makes one line of what DuckDB says, without the excerpt of the
// query, and with the runs' own names for the links to them.
func (db *DB) plainError(err error) error {
	var e *duckdb.Error
	if !errors.As(err, &e) {
		return err
	}
	text, _, _ := strings.Cut(e.Msg, "\n\nLINE ")
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	if e.Type == duckdb.ErrorTypeOutOfMemory {
		return &sqlError{ErrMemory.Error() + ": ask for fewer rows or columns, or allow more", errors.Join(ErrMemory, err)}
	}
	text = strings.ReplaceAll(text, " Candidate bindings:", " Candidates:")
	text = strings.ReplaceAll(text, "file system operations are disabled by configuration", "queries read the run's own files and write none; to get rows out use the command's output formats")
	for _, r := range db.runs {
		text = strings.ReplaceAll(text, r.link, r.dir)
	}
	return &sqlError{text, err}
}
