package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvReader reads a header and records; quotes follow RFC 4180. Every record has as many fields as the header.
type csvReader struct {
	in     *csv.Reader
	bound  *bound
	header []string
}

// bound ends the reading of a record that is too long, such as one whose quote is never closed.
type bound struct {
	r    io.Reader
	left int
}

func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// newCSVReader reads the header; a file without one has no rows.
func newCSVReader(in io.Reader, comma rune) (*csvReader, error) {
	b := &bound{in, maxLine}
	r := &csvReader{in: csv.NewReader(b), bound: b}
	r.in.Comma = comma
	header, err := r.in.Read()
	if errors.Is(err, io.EOF) {
		return r, nil
	}
	if err != nil {
		return nil, csvError(1, err)
	}
	for i, name := range header {
		if err := checkUTF8(name); err != nil {
			return nil, &rowError{1, err}
		}
		if slices.Contains(header[:i], name) {
			return nil, &rowError{1, fmt.Errorf("column %q is there twice", brief(name))}
		}
	}
	r.header = header
	return r, nil
}

func (r *csvReader) next(most int) (chunk, error) {
	var records [][]string
	var at []int
	for size := 0; r.header != nil && size < chunkBytes && len(records) < min(chunkRows, most); {
		r.bound.left = maxLine
		record, err := r.in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return chunk{}, csvError(0, err)
		}
		line, _ := r.in.FieldPos(0)
		records, at = append(records, record), append(at, line)
		for _, f := range record {
			size += len(f) + 1
		}
	}
	if len(records) == 0 {
		return chunk{}, io.EOF
	}
	return chunk{len(records), func() ([]row, error) { return r.rows(records, at) }}, nil
}

func (r *csvReader) rows(records [][]string, at []int) ([]row, error) {
	rows := make([]row, len(records))
	for i, record := range records {
		rows[i] = row{at[i], make([]named, len(record))}
		for k, f := range record {
			if err := checkUTF8(f); err != nil {
				return nil, &rowError{at[i], err}
			}
			c := cell{kind: field, text: f}
			if f == "" {
				c = cell{}
			}
			rows[i].cells[k] = named{r.header[k], c}
		}
	}
	return rows, nil
}

// csvError puts the line in front; the reader's own errors know theirs.
func csvError(line int, err error) error {
	var p *csv.ParseError
	switch {
	case errors.As(err, &p) && errors.Is(p.Err, csv.ErrFieldCount):
		return &rowError{p.StartLine, errors.New("not as many fields as the header has")}
	case errors.As(err, &p):
		return &rowError{p.Line, p.Err}
	}
	return &rowError{line, err}
}

// isNumber says whether a field is a number as CSV files write it. Leading zeros ("007") make it a name.
func isNumber(f string) bool {
	digits, rest := cutDigits(strings.TrimPrefix(f, "-"))
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return false
	}
	if after, ok := strings.CutPrefix(rest, "."); ok {
		if digits, rest = cutDigits(after); digits == "" {
			return false
		}
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		digits, rest = cutDigits(strings.TrimLeft(rest[1:], "+-"))
		return digits != "" && rest == ""
	}
	return rest == ""
}

func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// exact is the greatest whole number up to which a float64 holds every one.
const exact = 1 << 53

func isBool(f string) bool { return strings.EqualFold(f, "true") || strings.EqualFold(f, "false") }
