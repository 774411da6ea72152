package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Options say what of a source is wanted and how.
type Options struct {
	Template string // a name of Templates, a text with {text} in it, or "" for none
	Limit    int    // rows from the beginning; 0 for all
}

// Open reads a source: .jsonl, .ndjson or .json (JSON Lines), .csv, .parquet. What
// is wrong with it is ErrFormat, ErrEmpty or ErrPrompt and names file and line.
func Open(path string, opt Options) (*Set, error) {
	template, err := parseTemplate(opt.Template)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	t, digest, err := read(f, path, opt.Limit)
	if err != nil {
		return nil, err
	}
	s, err := t.finish()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.path, s.digest = path, digest
	if err := s.render(template); err != nil {
		return nil, err
	}
	return s, nil
}

// read reads the rows and hashes the file, whole even when only the first rows
// are wanted.
func read(f *os.File, path string, limit int) (*table, string, error) {
	hash := sha256.New()
	var t *table
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".jsonl", ".ndjson", ".json":
		t, err = readJSONL(skipBOM(io.TeeReader(f, hash)), path, limit)
	case ".csv":
		t, err = readCSV(skipBOM(io.TeeReader(f, hash)), path, limit)
	case ".parquet":
		t, err = readParquet(f, path, limit)
	default:
		return nil, "", fmt.Errorf("%s: %w: unknown kind %q; want .jsonl, .csv or .parquet", path, ErrFormat, ext)
	}
	if err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(hash, f); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	return t, hex.EncodeToString(hash.Sum(nil)), nil
}

// skipBOM passes over the byte order mark that some programs put in front of
// UTF-8.
func skipBOM(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 1<<16)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = b.Discard(3) // they are there
	}
	return b
}
