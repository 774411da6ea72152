package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// openParquet opens a Parquet file after checking what the library takes on
// trust. It turns the library's panics over damaged metadata into errors.
func openParquet(r io.ReaderAt, size int64) (f *parquet.File, err error) {
	defer rescue(&err)
	var tail [8]byte
	if size < 12 {
		return nil, fmt.Errorf("%w: %d bytes are no Parquet file", ErrFormat, size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); n > size-12 {
		return nil, fmt.Errorf("%w: a Parquet footer of %d bytes in a file of %d", ErrFormat, n, size)
	}
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

// rescue turns a panic of the library into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: damaged Parquet file: %v", ErrFormat, p)
	}
}

// parquetReader gives the rows of a Parquet file, all columns side by side.
type parquetReader struct {
	file    *parquet.File
	columns []column
	group   int // the row group being read, -1 before the first
	left    int64
	row     int
}

func newParquetReader(f *os.File) (*parquetReader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := openParquet(f, st.Size())
	if err != nil {
		return nil, err
	}
	columns, err := columnsOf(file)
	if err != nil {
		return nil, err
	}
	return &parquetReader{file: file, columns: columns, group: -1}, nil
}

// next reads rows until the chunk is full. What is read of a column that cannot be carried is nothing.
func (r *parquetReader) next(most int) (c chunk, err error) {
	defer func() {
		if err != nil && err != io.EOF {
			err = &rowError{at: r.row, err: err}
		}
	}()
	defer rescue(&err)
	var rows []row
	for size := 0; size < chunkBytes && len(rows) < min(chunkRows, most); r.row++ {
		for r.left == 0 {
			if r.group+1 == len(r.file.RowGroups()) {
				if len(rows) > 0 {
					return ready(rows), nil
				}
				if err := r.close(); err != nil {
					return chunk{}, err
				}
				return chunk{}, io.EOF
			}
			if err := r.enter(r.group + 1); err != nil {
				return chunk{}, err
			}
		}
		cells, bytes, err := r.cells()
		if err != nil {
			return chunk{}, err
		}
		rows = append(rows, row{r.row, cells})
		size += bytes
		r.left--
	}
	if len(rows) == 0 {
		return chunk{}, io.EOF
	}
	return ready(rows), nil
}

// ready is a chunk of rows that are parsed already.
func ready(rows []row) chunk {
	return chunk{len(rows), func() ([]row, error) { return rows, nil }}
}

// enter begins row group g.
func (r *parquetReader) enter(g int) error {
	if err := r.close(); err != nil {
		return err
	}
	r.group = g
	group := r.file.RowGroups()[g]
	r.left = group.NumRows()
	for i := range r.columns {
		r.columns[i].enter(group)
	}
	return nil
}

func (r *parquetReader) close() error {
	var errs []error
	for i := range r.columns {
		errs = append(errs, r.columns[i].close())
	}
	return errors.Join(errs...)
}

// cells reads one row and says how large it is.
func (r *parquetReader) cells() ([]named, int, error) {
	cells := make([]named, len(r.columns))
	size := 0
	for i := range r.columns {
		c, err := r.columns[i].next()
		if err != nil {
			return nil, 0, err
		}
		cells[i] = named{r.columns[i].name, c}
		size += 16 + len(c.text) + 8*len(c.ints)
		if c.chat != nil {
			for _, m := range c.chat.messages {
				size += len(m.Content)
			}
		}
	}
	if size > maxLine {
		return nil, 0, errTooLong
	}
	return cells, size, nil
}
