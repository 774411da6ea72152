package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxLine bounds a line of JSONL in bytes.
const maxLine = 64 << 20

// readJSONL reads rows of one JSON object per line until limit rows (0 for all).
// Blank lines are passed over.
func readJSONL(r io.Reader, path string, limit int) (*table, error) {
	t := newTable()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for (limit == 0 || len(t.text) < limit) && lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := t.jsonRow(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w: %w", path, n, ErrFormat, err)
		}
		t.lines = append(t.lines, n)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: %w: a line longer than %d bytes", path, n+1, ErrFormat, maxLine)
	}
	if lines.Err() != nil {
		return nil, fmt.Errorf("read %s: %w", path, lines.Err())
	}
	return t, nil
}

// jsonRow takes one line.
func (t *table) jsonRow(line []byte) error {
	if err := checkUTF8(string(line)); err != nil {
		return err
	}
	if err := json.Unmarshal(line, new(json.RawMessage)); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if line[0] == '[' {
		return errors.New("a JSON array; want one object per line (JSON Lines)")
	}
	if line[0] != '{' {
		return errors.New("not a JSON object")
	}
	t.begin()
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	_, _ = dec.Token() // the brace; the line has been checked
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if err := t.jsonField(dec, key.(string), line); err != nil {
			return err
		}
	}
	return t.end()
}

// jsonField takes one key and its value.
func (t *table) jsonField(dec *json.Decoder, name string, line []byte) error {
	if name == idsColumn {
		var ids []int64
		if err := dec.Decode(&ids); err != nil {
			return fmt.Errorf("column %q: want a list of token ids", idsColumn)
		}
		if ids == nil {
			return nil
		}
		return t.setIDs(ids)
	}
	v, err := dec.Token()
	if err != nil {
		return err
	}
	c, err := jsonCell(v)
	if err == nil && c.kind == text {
		err = checkSurrogates(c.text, line)
	}
	if err != nil {
		return fmt.Errorf("column %q: %w", name, err)
	}
	if name == textColumn {
		return t.setText(c)
	}
	return t.set(name, c)
}

func jsonCell(v json.Token) (cell, error) {
	switch v := v.(type) {
	case nil:
		return cell{}, nil
	case bool:
		return cell{kind: boolean, bool: v}, nil
	case string:
		return cell{kind: text, text: v}, nil
	case json.Number:
		return numberCell(string(v))
	}
	return cell{}, errors.New("a list or an object; only single values are carried along")
}

// numberCell reads a JSON number: whole when it is spelled as one.
func numberCell(s string) (cell, error) {
	if strings.ContainsAny(s, ".eE") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return cell{}, fmt.Errorf("%s is no float64", s)
		}
		return cell{kind: fraction, float: v}, nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return cell{}, fmt.Errorf("%s is no int64; write it as a string", s)
	}
	return cell{kind: integer, int: v}, nil
}

// checkSurrogates refuses half of a surrogate pair, which the decoder turns into
// U+FFFD without a word.
func checkSurrogates(s string, line []byte) error {
	if strings.ContainsRune(s, '\uFFFD') && !bytes.ContainsRune(line, '\uFFFD') && !bytes.Contains(bytes.ToLower(line), []byte(`\ufffd`)) {
		return errors.New(`half a character (a lone \ud800 to \udfff escape)`)
	}
	return nil
}
