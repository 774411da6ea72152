package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxLine bounds a line of JSONL, an element of a JSON array and a record of CSV, in bytes.
const maxLine = 64 << 20

// errTooLong says so.
var errTooLong = fmt.Errorf("longer than the %d MB that a row may have", maxLine>>20)

// lineReader reads JSON Lines: one object per line. Blank lines are passed over.
type lineReader struct {
	in     *bufio.Reader
	line   int // lines read
	longer []byte
}

// next takes lines until the chunk is full.
func (r *lineReader) next(most int) (chunk, error) {
	var texts [][]byte
	var at []int
	for size := 0; size < chunkBytes && len(texts) < min(chunkRows, most); {
		text, err := r.readLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return chunk{}, &rowError{at: r.line, err: err}
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			texts, at = append(texts, bytes.Clone(text)), append(at, r.line)
			size += len(text)
		}
	}
	return jsonChunk(texts, at)
}

// readLine returns the next line, valid until the one after it; the last may lack its line end.
func (r *lineReader) readLine() ([]byte, error) {
	r.line++
	r.longer = r.longer[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil && len(r.longer) == 0 {
			return part, nil
		}
		r.longer = append(r.longer, part...)
		switch {
		case len(r.longer) > maxLine:
			return nil, errTooLong
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.longer) == 0, err != nil && !errors.Is(err, io.EOF):
			return nil, err
		default:
			return r.longer, nil
		}
	}
}

// arrayReader reads a JSON file that is one array of objects.
type arrayReader struct {
	dec   *jsontext.Decoder
	bound *bound
	row   int
	open  bool // the bracket has been read
	ended bool // and the one that closes the array
}

func newArrayReader(in io.Reader) *arrayReader {
	b := &bound{in, maxLine}
	return &arrayReader{dec: jsontext.NewDecoder(b, jsontext.AllowDuplicateNames(true)), bound: b}
}

func (r *arrayReader) next(most int) (chunk, error) {
	if !r.open {
		if _, err := r.dec.ReadToken(); err != nil {
			return chunk{}, &rowError{at: 0, err: jsonError(err)}
		}
		r.open = true
	}
	var texts [][]byte
	var at []int
	for size := 0; !r.ended && size < chunkBytes && len(texts) < min(chunkRows, most); {
		r.bound.left = maxLine
		if r.dec.PeekKind() == ']' {
			if err := r.close(); err != nil {
				return chunk{}, &rowError{at: r.row, err: err}
			}
			break
		}
		text, err := r.dec.ReadValue()
		if err != nil {
			return chunk{}, &rowError{at: r.row, err: jsonError(err)}
		}
		texts, at = append(texts, bytes.Clone(text)), append(at, r.row)
		size += len(text)
		r.row++
	}
	return jsonChunk(texts, at)
}

// close makes sure that nothing follows the array.
func (r *arrayReader) close() error {
	if _, err := r.dec.ReadToken(); err != nil {
		return jsonError(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("not JSON: something follows the array")
	}
	r.ended = true
	return nil
}

func jsonChunk(texts [][]byte, at []int) (chunk, error) {
	if len(texts) == 0 {
		return chunk{}, io.EOF
	}
	return chunk{len(texts), func() ([]row, error) {
		rows := make([]row, len(texts))
		for i, text := range texts {
			cells, err := jsonRow(text)
			if err != nil {
				return nil, &rowError{at[i], err}
			}
			rows[i] = row{at[i], cells}
		}
		return rows, nil
	}}, nil
}

// jsonRow takes one object apart.
func jsonRow(text []byte) ([]named, error) {
	switch text[0] {
	case '[':
		return nil, errors.New("a JSON array; want one object per line (JSON Lines), or one array in the whole file")
	case '{':
	default:
		if err := checkUTF8(string(text)); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("not a JSON object: %s", brief(string(text)))
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	var cells []named
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, jsonError(err)
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, jsonError(err)
		}
		for _, c := range cells {
			if c.name == key {
				return nil, fmt.Errorf("column %q is there twice", brief(key))
			}
		}
		cells = append(cells, named{key, jsonCell(value)})
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: something follows the object; want one object per line")
	}
	return cells, nil
}

// jsonError is the decoder's error without what only its own code understands.
func jsonError(err error) error {
	said := err.Error()
	switch {
	case errors.Is(err, errTooLong):
		return errTooLong
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("not JSON: unexpected end")
	case strings.Contains(said, "surrogate"):
		return errors.New(`not JSON: half a character (a lone \ud800 to \udfff escape)`)
	case strings.Contains(said, "UTF-8"):
		return errors.New("not UTF-8 text; convert the file to UTF-8")
	}
	said, _, _ = strings.Cut(strings.TrimPrefix(said, "jsontext: "), " within ")
	return fmt.Errorf("not JSON: %s", brief(said))
}

// jsonCell reads a value that the decoder has checked.
func jsonCell(v jsontext.Value) cell {
	switch v.Kind() {
	case 'n':
		return cell{}
	case 't', 'f':
		return cell{kind: boolean, bool: v.Kind() == 't'}
	case '"':
		s, _ := jsontext.AppendUnquote(nil, v) // it is a good string
		return cell{kind: text, text: string(s)}
	case '0':
		return number(string(v))
	case '[':
		return cell{kind: nested, what: "a list", raw: bytes.Clone(v)}
	}
	return cell{kind: nested, what: "a record", raw: bytes.Clone(v)}
}

// number reads a JSON number: whole when it is spelled as one.
func number(s string) cell {
	if strings.ContainsAny(s, ".eE") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return cell{kind: digits, text: s}
		}
		return cell{kind: fraction, float: v, text: s}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return cell{kind: digits, text: s}
	}
	return cell{kind: integer, int: v, text: s}
}
