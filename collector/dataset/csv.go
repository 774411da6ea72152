package dataset

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// csvTable collects the fields of every column as text, because a column's type
// is known only at the end.
type csvTable struct {
	*table
	header []string
	fields [][]string // per own column; nil for text and input_ids
}

// readCSV reads a header and rows until limit (0 for all). Every row has as many
// fields as the header; quotes follow RFC 4180.
func readCSV(r io.Reader, path string, limit int) (*table, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	t := &csvTable{table: newTable()}
	if err := t.readHeader(in); errors.Is(err, io.EOF) {
		return t.table, nil
	} else if err != nil {
		return nil, csvError(path, 1, err)
	}
	for limit == 0 || len(t.text) < limit {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line := 0
		if err == nil {
			line, _ = in.FieldPos(0)
			err = t.row(record)
		}
		if err != nil {
			return nil, csvError(path, line, err)
		}
		t.lines = append(t.lines, line)
	}
	if err := t.infer(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	return t.table, nil
}

// csvError puts path and line in front; the reader's own errors know their line.
func csvError(path string, line int, err error) error {
	var p *csv.ParseError
	switch {
	case errors.As(err, &p) && errors.Is(p.Err, csv.ErrFieldCount):
		return fmt.Errorf("%s:%d: %w: not as many fields as the header has", path, p.StartLine, ErrFormat)
	case errors.As(err, &p):
		return fmt.Errorf("%s:%d: %w: %w", path, p.Line, ErrFormat, p.Err)
	}
	return fmt.Errorf("%s:%d: %w: %w", path, line, ErrFormat, err)
}

func (t *csvTable) readHeader(in *csv.Reader) error {
	record, err := in.Read()
	if err != nil {
		return err
	}
	t.header = append(t.header, record...)
	t.fields = make([][]string, len(t.header))
	seen := map[string]bool{}
	for _, name := range t.header {
		if seen[name] {
			return fmt.Errorf("column %q is there twice", name)
		}
		seen[name] = true
		if name == textColumn || name == idsColumn {
			continue
		}
		if _, err := t.builder(name); err != nil {
			return err
		}
	}
	if !seen[textColumn] && !seen[idsColumn] {
		return t.end()
	}
	return nil
}

// row takes the fields of one record.
func (t *csvTable) row(record []string) error {
	t.begin()
	for i, field := range record {
		if err := checkUTF8(field); err != nil {
			return err
		}
		switch t.header[i] {
		case textColumn:
			if err := t.setText(cell{kind: text, text: field}); err != nil {
				return err
			}
		case idsColumn:
			if err := t.csvIDs(field); err != nil {
				return err
			}
		default:
			t.fields[i] = append(t.fields[i], field)
		}
	}
	return nil
}

// csvIDs reads a list like [1, 2]; an empty field is no list.
func (t *csvTable) csvIDs(field string) error {
	if field == "" {
		return nil
	}
	var ids []int64
	if err := json.Unmarshal([]byte(field), &ids); err != nil || ids == nil {
		return fmt.Errorf("column %q: want a list like [1, 2]", idsColumn)
	}
	return t.setIDs(ids)
}

// infer gives each column its type and its cells.
func (t *csvTable) infer() error {
	for i, name := range t.header {
		if name == textColumn || name == idsColumn {
			continue
		}
		b, err := t.builder(name)
		if err != nil {
			return err
		}
		as := csvKind(t.fields[i])
		for _, field := range t.fields[i] {
			if err := b.add(csvCell(field, as)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A number as CSV files write it. Leading zeros ("007") make it a name.
var csvNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// csvKind is the narrowest kind that all non-empty fields read as without loss. A
// column of true and false with an empty field stays text, and so do whole numbers
// with one if they are too large for the floats that they would become.
func csvKind(fields []string) kind {
	ints, floats, bools, gaps, values := true, true, true, false, false
	for _, f := range fields {
		if f == "" {
			gaps = true
			continue
		}
		values = true
		ints = ints && isInt(f)
		floats = floats && isFloat(f)
		bools = bools && isBool(f)
	}
	switch {
	case !values:
		return missing
	case ints && (floats || !gaps):
		return integer
	case floats:
		return fraction
	case bools && !gaps:
		return boolean
	}
	return text
}

func isInt(f string) bool {
	v, err := strconv.ParseInt(f, 10, 64)
	return err == nil && strconv.FormatInt(v, 10) == f
}

func isFloat(f string) bool {
	if !csvNumber.MatchString(f) {
		return false
	}
	if strings.ContainsAny(f, ".eE") {
		_, err := strconv.ParseFloat(f, 64)
		return err == nil
	}
	v, err := strconv.ParseInt(f, 10, 64)
	return err == nil && v >= -exact && v <= exact
}

func isBool(f string) bool { return strings.EqualFold(f, "true") || strings.EqualFold(f, "false") }

// csvCell reads a field that csvKind has judged.
func csvCell(field string, as kind) cell {
	if field == "" && as != text {
		return cell{}
	}
	c := cell{kind: as, text: field}
	switch as {
	case integer:
		c.int, _ = strconv.ParseInt(field, 10, 64)
	case fraction:
		c.float, _ = strconv.ParseFloat(field, 64)
	case boolean:
		c.bool = strings.EqualFold(field, "true")
	}
	return c
}
