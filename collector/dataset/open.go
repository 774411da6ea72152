package dataset

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// reader gives a file's rows, a chunk of at most so many at a time, and io.EOF after the last.
type reader interface {
	next(most int) (chunk, error)
}

// rowError is an error at a place of a file.
type rowError struct {
	at  int // see row
	err error
}

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

// opened is a file of a source being read.
type opened struct {
	reader
	path   string
	file   *os.File
	lines  bool // its rows have lines, not numbers
	stream bool // it is read in order
}

func (o *opened) close() { _ = o.file.Close() } // read only

// where names the place of a row: "data.jsonl:17", or "data.parquet row 16" where there are no lines.
func (o *opened) where(at int) string {
	if o.lines {
		return fmt.Sprintf("%s:%d", o.path, at)
	}
	return fmt.Sprintf("%s row %d", o.path, at)
}

// headBytes is how much of a file its kind is told from.
const headBytes = 1 << 16

// openFile finds out by its content what a file is. Every byte that is read goes to hash too, in order, where the
// file is read in order.
func openFile(path string, hash io.Writer) (_ *opened, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	o := &opened{path: path, file: f}
	defer func() {
		if err != nil {
			o.close()
			err = o.fail(err)
		}
	}()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return o, o.choose(f, head[:n], hash)
}

// choose sets the reader for a file that begins with head.
func (o *opened) choose(f *os.File, head []byte, hash io.Writer) (err error) {
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")), strings.EqualFold(filepath.Ext(o.path), ".parquet") && !isText(head):
		o.reader, err = newParquetReader(f)
		return err
	case bytes.HasPrefix(head, []byte("ARROW1")):
		o.reader, err = newArrowFile(f)
		return err
	}
	o.stream = true
	in, err := unpack(bufio.NewReaderSize(io.TeeReader(f, hash), headBytes), o.path, head)
	if err != nil {
		return err
	}
	return o.chooseStream(bufio.NewReaderSize(in, headBytes))
}

// foreign are kinds of files that are not read, and what to do with them.
var foreign = []struct{ magic, says string }{
	{"\xfd7zXZ\x00", "an xz file; unpack it (xz -d) or pack it with zstd"},
	{"\x04\x22\x4d\x18", "an lz4 file; unpack it (lz4 -d) or pack it with zstd"},
	{"PK\x03\x04", "a zip archive; unpack it"},
	{"FEA1", "feather of version 1; write it again as feather version 2 or Parquet"},
	{"ORC", "an ORC file; write it as Parquet"},
	{"Obj\x01", "an Avro file; write it as Parquet"},
	{"SQLite format 3", "an SQLite database; export the table as CSV or Parquet"},
	{"\x89HDF", "an HDF5 file; write it as Parquet"},
	{"\x93NUMPY", "a NumPy array; write it as Parquet"},
	{"\x80\x04", "a Python pickle, which runs code when it is read; write it as Parquet"},
	{"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it (git lfs pull)"},
	{"<!DOCTYPE", "a web page; the download was not the file"},
	{"\xff\xfe", "UTF-16 text, not UTF-8 text; convert the file to UTF-8"},
	{"\xfe\xff", "UTF-16 text, not UTF-8 text; convert the file to UTF-8"},
}

// unpack takes off gzip, zstd, bzip2 or brotli.
func unpack(in *bufio.Reader, path string, head []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) > 3 && head[0]>>4 == 5 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(2<<30), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return r, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(in), nil
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return nil, errors.New(f.says)
		}
	}
	if strings.EqualFold(filepath.Ext(path), ".br") || !isText(head) && !isArrowStream(head) && isBrotli(head) {
		return brotli.NewReader(in), nil
	}
	return in, nil
}

// isBrotli says whether head, which nothing marks, unpacks as brotli into text: a file's first bytes can pass for
// brotli by chance, but not for brotli of text.
func isBrotli(head []byte) bool {
	out := make([]byte, 256)
	n, err := io.ReadFull(brotli.NewReader(bytes.NewReader(head)), out)
	return n > 0 && (err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && (isText(out[:n]) || isArrowStream(out[:n]))
}

// isText says whether head can be the beginning of UTF-8 text.
func isText(head []byte) bool {
	for cut := range min(utf8.UTFMax, len(head)+1) { // the last character may be cut
		if utf8.Valid(head[:len(head)-cut]) {
			return bytes.IndexByte(head, 0) < 0
		}
	}
	return false
}

func isArrowStream(head []byte) bool { return bytes.HasPrefix(head, []byte{0xff, 0xff, 0xff, 0xff}) }

// chooseStream sets the reader for what a file holds after unpacking.
func (o *opened) chooseStream(in *bufio.Reader) error {
	head, err := in.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("damaged: %w", err)
	}
	if isArrowStream(head) {
		o.reader, err = newArrowStream(in)
		return err
	}
	if bytes.HasPrefix(head, []byte("PAR1")) || bytes.HasPrefix(head, []byte("ARROW1")) {
		return errors.New("a Parquet or Arrow file packed once more; unpack it first")
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return errors.New(f.says)
		}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3) // they are there
		head = head[3:]
	}
	return o.chooseText(in, head)
}

// chooseText tells JSON Lines, a JSON array, CSV and TSV apart.
func (o *opened) chooseText(in *bufio.Reader, head []byte) (err error) {
	o.lines = true
	kind := tableKind(filepath.Base(o.path))
	first := bytes.TrimSpace(head)
	switch {
	case kind == ".csv", kind == ".tsv":
		o.reader, err = newCSVReader(in, comma(kind, head))
		return err
	case bytes.HasPrefix(first, []byte("[")):
		o.lines = false
		o.reader = newArrayReader(in)
		return nil
	case bytes.HasPrefix(first, []byte("{")), kind == ".jsonl", kind == ".ndjson", kind == ".json":
		o.reader = &lineReader{in: in}
		return nil
	}
	return fmt.Errorf("unknown kind %q; want JSON Lines, a JSON array, .csv, .tsv, Parquet or Arrow", filepath.Ext(o.path))
}

// comma is what separates the fields, as the header has it: of .csv the comma where there is one.
func comma(kind string, head []byte) rune {
	header, _, _ := bytes.Cut(head, []byte("\n"))
	order := "\t"
	if kind == ".csv" {
		order = ",\t;"
	}
	for _, c := range order {
		if bytes.ContainsRune(header, c) {
			return c
		}
	}
	return rune(order[0])
}
