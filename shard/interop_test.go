package shard

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Our hand-written page header is what a Thrift library decodes, padding and all.
func TestPageHeader(t *testing.T) {
	for _, rows := range []int{1, 77, 512} {
		for width := 1; width < 300; width += 7 {
			wantHeader(t, newLayout(Vector{Width: width, Dtype: F16}, 512).prefix(rows), rows, width)
		}
	}
}

func wantHeader(t *testing.T, prefix []byte, rows, width int) {
	t.Helper()
	rep, def := repetitionLevels(rows, width), definitionLevels(rows*width)
	header, ok := bytes.CutSuffix(prefix, append(rep, def...))
	if !ok || len(prefix)%alignment != 0 {
		t.Fatalf("%d × %d: the levels do not end the %d bytes", rows, width, len(prefix))
	}
	want := format.PageHeader{Type: format.DataPageV2}
	want.CompressedPageSize = int32(len(rep) + len(def) + rows*width*2)
	want.UncompressedPageSize = want.CompressedPageSize
	want.DataPageHeaderV2 = thrift.New(format.DataPageHeaderV2{
		NumValues: int32(rows * width), NumRows: int32(rows), Encoding: format.Plain,
		DefinitionLevelsByteLength: int32(len(def)), RepetitionLevelsByteLength: int32(len(rep)), IsCompressed: thrift.New(false),
	})
	var got format.PageHeader
	if err := thrift.Unmarshal(&compact, header, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%d × %d: %+v, want %+v, %v", rows, width, got, want, err)
	}
	if p, _, _ := readPageHeader(header); p.values != int64(rows*width) || p.encoding != format.Plain || !p.uncompressed {
		t.Errorf("%d × %d: our own reader gives %+v", rows, width, p)
	}
}

// A general Parquet reader finds the same levels and values.
func TestParquetGoReads(t *testing.T) {
	s := testSchema()
	blocks := blocksOf(s, 700)
	file := shardBytes(t, s, blocks)
	pf, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if pf.NumRows() != 700 || len(pf.RowGroups()) != 2 {
		t.Fatalf("%d rows, %d row groups", pf.NumRows(), len(pf.RowGroups()))
	}
	for g, group := range pf.RowGroups() {
		for c, chunk := range group.ColumnChunks() {
			if v := c - len(s.Scalars); v >= 0 {
				wantValues(t, chunk, s.Vectors[v], blocks[g].Vectors[v][:blocks[g].Rows*s.Vectors[v].RowBytes()])
			} else {
				wantColumn(t, chunk, boxed(nil, blocks[g].Scalars[c], blocks[g].Rows))
			}
		}
	}
}

// readChunk reads all values of a chunk, with their levels.
func readChunk(t *testing.T, chunk parquet.ColumnChunk) (values []parquet.Value) {
	t.Helper()
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		part := make([]parquet.Value, page.NumValues())
		if n, err := page.Values().ReadValues(part); n != len(part) || err != nil && err != io.EOF {
			t.Fatal(n, err)
		}
		for _, v := range part {
			values = append(values, v.Clone())
		}
	}
}

func wantValues(t *testing.T, chunk parquet.ColumnChunk, v Vector, want []byte) {
	t.Helper()
	var got []byte
	for i, x := range readChunk(t, chunk) {
		if begins := i%v.Width == 0; begins != (x.RepetitionLevel() == 0) || x.DefinitionLevel() != 1 {
			t.Fatalf("%s: value %d has levels %d, %d", v.Name, i, x.RepetitionLevel(), x.DefinitionLevel())
		}
		got = x.AppendBytes(got)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: values differ", v.Name)
	}
}

func wantColumn(t *testing.T, chunk parquet.ColumnChunk, want []parquet.Value) {
	t.Helper()
	got := readChunk(t, chunk)
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range got {
		if !parquet.DeepEqual(got[i], want[i].Level(0, 0, got[i].Column())) {
			t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// pythonEnv names a Python with pyarrow, duckdb and numpy. Without it the readers of others are not asked.
const pythonEnv = "ACTFLEET_PYTHON"

func TestOthersRead(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("%s does not name a Python with pyarrow, duckdb and numpy", pythonEnv)
	}
	dir, s := t.TempDir(), testSchema()
	blocks := blocksOf(s, 1100)
	files := map[string][]byte{"unit.parquet": shardBytes(t, s, blocks)}
	for i, v := range s.Vectors {
		for _, b := range blocks {
			name := v.Name + ".bin"
			files[name] = append(files[name], b.Vectors[i][:b.Rows*v.RowBytes()]...)
		}
	}
	for i, c := range s.Scalars {
		var text bytes.Buffer
		for _, b := range blocks {
			for _, v := range boxed(nil, b.Scalars[i], b.Rows) {
				fmt.Fprintln(&text, v)
			}
		}
		files[c.Name+".txt"] = text.Bytes()
	}
	for name, data := range files {
		WriteFile(t, filepath.Join(dir, name), data)
	}
	if out, err := exec.Command(python, "testdata/interop.py", dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}
