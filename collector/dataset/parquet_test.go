package dataset

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// writeParquet writes rows with parquet-go and returns the path.
func writeParquet[T any](t testing.TB, rows []T, opts ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, opts...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return source(t, "x.parquet", b.String())
}

type fullRow struct {
	ID    string   `parquet:"id,dict"`
	Text  *string  `parquet:"text,optional"`
	IDs   []int64  `parquet:"input_ids,list"`
	Label int8     `parquet:"label"`
	Big   uint32   `parquet:"big"`
	Score *float32 `parquet:"score,optional"`
	OK    bool     `parquet:"ok"`
	Seen  *int64   `parquet:"seen,optional"`
}

func ptr[T any](v T) *T { return &v }

func TestParquet(t *testing.T) {
	rows := []fullRow{
		{ID: "a", Text: ptr("One."), Label: 1, Big: 1 << 31, Score: ptr(float32(0.5)), OK: true, Seen: ptr(int64(4))},
		{ID: "b", IDs: []int64{3, 4}, Label: -1, Seen: ptr(int64(5))},
		{ID: "a", Text: ptr("Dreí"), Label: 0, OK: true, Seen: ptr(int64(6))},
	}
	for name, opts := range map[string][]parquet.WriterOption{
		"plain":      nil,
		"zstd, v1":   {parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1)},
		"row groups": {parquet.MaxRowsPerRowGroup(1), parquet.Compression(&parquet.Snappy)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(writeParquet(t, rows, opts...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(s.Text, []string{"One.", "", "Dreí"}) || len(s.IDs[1]) != 2 || s.IDs[1][1] != 4 {
				t.Errorf("%q %v", s.Text, s.IDs)
			}
			byName := map[string]any{}
			for _, c := range s.Columns {
				byName[c.Name] = c.Values
			}
			for n, want := range map[string]any{"id": []string{"a", "b", "a"}, "label": []int64{1, -1, 0}, "big": []int64{1 << 31, 0, 0},
				"ok": []bool{true, false, true}, "seen": []int64{4, 5, 6}} {
				if !reflect.DeepEqual(byName[n], want) {
					t.Errorf("%s = %v, want %v", n, byName[n], want)
				}
			}
			if f := byName["score"].([]float64); f[0] != 0.5 || f[1] == f[1] {
				t.Errorf("score = %v", f)
			}
			if !strings.HasSuffix(s.Where(1), "x.parquet row 1") || len(s.Digest()) != 64 {
				t.Errorf("row 1 is at %s, digest %s", s.Where(1), s.Digest())
			}
		})
	}
}

func TestParquetLimit(t *testing.T) {
	type row struct {
		IDs   []int32 `parquet:"input_ids,list"`
		Label int32   `parquet:"label"`
	}
	path := writeParquet(t, []row{{[]int32{1, 2}, 7}, {[]int32{3}, 8}, {[]int32{4, 5}, 9}}, parquet.MaxRowsPerRowGroup(1))
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3} {
		s, err := Open(path, Options{Limit: limit})
		if err != nil || s.Rows != want || len(s.IDs) != want || len(s.Columns[0].Values.([]int64)) != want {
			t.Errorf("limit %d: %+v, %v", limit, s, err)
		}
	}
}

func TestParquetRefuses(t *testing.T) {
	type noText struct{ Statement string }
	type listed struct {
		Text string   `parquet:"text"`
		Tags []string `parquet:"tags,list"`
	}
	type nested struct {
		Text string                `parquet:"text"`
		User struct{ Name string } `parquet:"user"`
	}
	type timed struct {
		Text string    `parquet:"text"`
		When time.Time `parquet:"when,timestamp"`
	}
	type huge struct {
		Text string `parquet:"text"`
		N    uint64 `parquet:"n"`
	}
	type taken struct {
		Text string `parquet:"text"`
		Pos  int32  `parquet:"pos"`
	}
	type neither struct {
		Text *string `parquet:"text,optional"`
		N    int32   `parquet:"n"`
	}
	type flag struct {
		Text string `parquet:"text"`
		OK   *bool  `parquet:"ok,optional"`
	}
	type raw struct {
		Text []byte `parquet:"text"`
	}
	for want, path := range map[string]string{
		"neither text nor input_ids (its columns: Statement)": writeParquet(t, []noText{{"a"}}),
		`"tags.list.element" is a list`:                       writeParquet(t, []listed{{"a", []string{"b"}}}),
		`"user.Name" is a list or a record`:                   writeParquet(t, []nested{{Text: "a"}}),
		`column "when" has type TIMESTAMP`:                    writeParquet(t, []timed{{"a", time.Unix(0, 0)}}),
		"row 0: bad data: column \"n\": 18446744073709551615": writeParquet(t, []huge{{"a", 1<<64 - 1}}),
		"our own column pos":                                  writeParquet(t, []taken{{"a", 1}}),
		"row 1: bad data: neither":                            writeParquet(t, []neither{{ptr("a"), 1}, {nil, 2}}),
		"row 1: bad data: column \"ok\" holds true or false":  writeParquet(t, []flag{{"a", ptr(true)}, {"b", nil}}),
		"row 0: bad data: not UTF-8":                          writeParquet(t, []raw{{[]byte{0xff}}}),
		"no rows":                                             writeParquet(t, []raw{}),
	} {
		_, err := Open(path, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %s", err, want)
		}
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
			t.Errorf("%v is neither ErrFormat nor ErrEmpty", err)
		}
	}
}

const pyParquet = `
import sys, pyarrow as pa, pyarrow.parquet as pq, duckdb
t = pa.table({
    "text": pa.array(["One.", None, "\u4e09"]), "input_ids": pa.array([None, [5, 6], []], pa.list_(pa.int64())),
    "label": pa.array([1, 0, None], pa.int32()), "group": pa.array(["a", "b", "a"]).dictionary_encode(),
    "ok": [True, False, True], "score": pa.array([0.5, 1.0, 2.0], pa.float32()), "u": pa.array([1, 2, 3], pa.uint8()),
    "long": pa.array(["x", "y", None], pa.large_string())})
pq.write_table(t, sys.argv[1] + "/arrow.parquet", row_group_size=2, compression="zstd")
duckdb.execute("copy (select * from (values ('One.', 1, true, 0.5::double), ('Zwei', 2, false, null)) t(text, label, ok, score)) to '" + sys.argv[1] + "/duck.parquet'")
`

const pyInput = `
import sys, pyarrow.parquet as pq, duckdb
t = pq.read_table(sys.argv[1] + "/input.parquet")
assert t.column_names == ["row", "ids", "text", "label", "group", "score", "ok"], t.column_names
assert t.to_pydict()["ids"] == [[1, 2, 3], [9]] and t.to_pydict()["text"] == ["a bb ccc", ""], t.to_pydict()
assert t.schema.metadata[b"actfleet.data"] == b"d1"
rows = duckdb.execute("select row, len(ids), ids[1], label, ok from '" + sys.argv[1] + "/input.parquet'").fetchall()
assert rows == [(0, 3, 1, 7, True), (1, 1, 9, 8, False)], rows
`

// TestPython reads what pyarrow and DuckDB write, and the other way round; it
// needs ACTFLEET_PYTHON, a Python with both.
func TestPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	dir := t.TempDir()
	run := func(script string) {
		t.Helper()
		if out, err := exec.Command(python, "-c", script, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run(pyParquet)
	s, err := Open(filepath.Join(dir, "arrow.parquet"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Text[2] != "三" || len(s.IDs[1]) != 2 || s.IDs[2] == nil || s.IDs[0] != nil || s.Columns[0].Type != Float64 || s.Columns[1].Values.([]string)[2] != "a" {
		t.Errorf("%+v", s)
	}
	if s, err = Open(filepath.Join(dir, "duck.parquet"), Options{}); err != nil || s.Text[1] != "Zwei" || s.Columns[0].Values.([]int64)[1] != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "input.parquet"), encode(t, someInput()), 0o644); err != nil {
		t.Fatal(err)
	}
	run(pyInput)
}
