package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
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

func ptr[T any](v T) *T { return &v }

type fullRow struct {
	ID    string    `parquet:"id,dict"`
	Text  *string   `parquet:"text,optional"`
	IDs   []int64   `parquet:"input_ids,optional,list"`
	Label int8      `parquet:"label"`
	Big   uint32    `parquet:"big"`
	Score *float32  `parquet:"score,optional"`
	OK    bool      `parquet:"ok"`
	Seen  *int64    `parquet:"seen,optional"`
	When  time.Time `parquet:"when,timestamp(microsecond)"`
	Price int64     `parquet:"price,decimal(2:12)"`
	Huge  uint64    `parquet:"huge"`
	Tags  []string  `parquet:"tags,list"`
	User  struct{ Name string }
	Blob  []byte `parquet:"blob"`
}

func TestParquet(t *testing.T) {
	when := time.Date(2024, 2, 29, 12, 30, 5, 250_000_000, time.UTC)
	rows := []fullRow{
		{ID: "a", Text: ptr("One."), Label: 1, Big: 1 << 31, Score: ptr(float32(0.5)), OK: true, Seen: ptr(int64(4)), When: when, Price: 1999, Huge: 1<<63 + 1, Blob: []byte{0xff}},
		{ID: "b", IDs: []int64{3, 4}, Label: -1, Seen: ptr(int64(5)), When: time.Unix(-1, 0), Price: -5, Tags: []string{"x", "y"}},
		{ID: "a", Text: ptr("Dreí zwei"), Label: 0, OK: true, Seen: ptr(int64(6)), When: when, Huge: 7},
	}
	for name, opts := range map[string][]parquet.WriterOption{
		"plain":      nil,
		"zstd, v1":   {parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1)},
		"small":      {parquet.MaxRowsPerRowGroup(1), parquet.Compression(&parquet.Snappy)},
		"gzip pages": {parquet.PageBufferSize(16), parquet.Compression(&parquet.Gzip)},
	} {
		t.Run(name, func(t *testing.T) {
			in := mustLoad(t, Options{}, writeParquet(t, rows, opts...))
			if !reflect.DeepEqual(in.IDs, [][]int32{{4}, {3, 4}, {5, 4}}) {
				t.Errorf("%v", in.IDs)
			}
			wantColumns(t, in.Columns, []Column{
				{"id", String, []string{"a", "b", "a"}}, {"label", Int64, []int64{1, -1, 0}}, {"big", Int64, []int64{1 << 31, 0, 0}},
				{"score", Float64, []float64{0.5, nan, nan}}, {"ok", Bool, []bool{true, false, true}}, {"seen", Int64, []int64{4, 5, 6}},
				{"when", String, []string{"2024-02-29T12:30:05.25Z", "1969-12-31T23:59:59Z", "2024-02-29T12:30:05.25Z"}},
				{"price", Float64, []float64{19.99, -0.05, 0}}, {"huge", String, []string{"9223372036854775809", "0", "7"}},
			})
		})
	}
	s, err := Open([]string{writeParquet(t, rows)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if says := strings.Join(s.Notes(), "\n"); !strings.Contains(says, "left out: tags (a list), User (a record), blob (bytes)") {
		t.Errorf("it says %q", says)
	}
}

func TestParquetLimit(t *testing.T) {
	type row struct {
		IDs   []int32 `parquet:"input_ids,list"`
		Label int32   `parquet:"label"`
	}
	path := writeParquet(t, []row{{[]int32{1, 2}, 7}, {[]int32{3}, 8}, {[]int32{4, 5}, 9}}, parquet.MaxRowsPerRowGroup(1))
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3} {
		in, _, err := load(Options{Limit: limit}, Limits{}, path)
		if err != nil || len(in.IDs) != want || len(in.Columns[0].Values.([]int64)) != want {
			t.Errorf("limit %d: %+v, %v", limit, in, err)
		}
	}
}

func TestParquetRefuses(t *testing.T) {
	type raw struct {
		Text []byte `parquet:"text"`
	}
	type worded struct {
		Text string `parquet:"text"`
	}
	for want, path := range map[string]string{
		"row 0: bad data: column \"text\": not UTF-8": writeParquet(t, []worded{{"\xff"}}),
		"row 0: bad data: column \"text\" holds":      writeParquet(t, []raw{{[]byte{0xff}}}),
		"no rows":                                     writeParquet(t, []raw{}),
	} {
		_, _, err := load(Options{}, Limits{}, path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %s", err, want)
		}
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
			t.Errorf("%v is neither ErrFormat nor ErrEmpty", err)
		}
	}
}

// chatty renders a conversation as its words.
func chatty(messages []Message) (string, error) {
	var out []string
	for _, m := range messages {
		out = append(out, m.Role, m.Content)
	}
	return strings.Join(out, " "), nil
}

func TestConversations(t *testing.T) {
	type message struct {
		Role    string  `parquet:"role"`
		Content *string `parquet:"content,optional"`
	}
	type row struct {
		Messages []message `parquet:"messages,list"`
		N        int64     `parquet:"n"`
	}
	paths := map[string]string{
		"parquet": writeParquet(t, []row{{[]message{{"user", ptr("a")}, {"assistant", ptr("bb cc")}}, 1}, {nil, 2}, {[]message{{"user", ptr("")}}, 3}}),
		"jsonl": source(t, "x.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"bb cc"}]}],"n":1}
{"messages":[],"n":2}
{"messages":[{"role":"user","content":"","name":null,"tool_calls":[ ]}],"n":3}`),
		"sharegpt": source(t, "x.json", `[{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"bb cc"}],"n":1},{"conversations":null,"n":2},{"conversations":[{"from":"human","value":""}],"n":3}]`),
		"arrow":    arrowFile(t, false, chatRecord()),
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			in, counts, err := load(Options{Chat: chatty}, Limits{}, path)
			if err != nil || counts.Empty != 1 || !reflect.DeepEqual(in.IDs, [][]int32{{4, 1, 9, 2, 2}, {4}}) {
				t.Fatalf("%v, %+v, %v", in, counts, err)
			}
			wantColumns(t, in.Columns, []Column{{"n", Int64, []int64{1, 3}}})
		})
	}
	in, _, err := load(Options{Chat: chatty, Template: ChatTemplate}, Limits{}, source(t, "x.jsonl", `{"text":"a bb"}`))
	if err != nil || !reflect.DeepEqual(in.IDs, [][]int32{{4, 1, 2}}) {
		t.Errorf("a text as a user's turn: %v, %v", in, err)
	}
	for content, want := range map[string]string{
		`{"messages":[{"role":"user","content":"a"}]}` + "\n" + `{"messages":[{"content":"a"}]}`:    `x.jsonl:2: bad data: column "messages": message 0: it has no role`,
		`{"messages":[{"role":"user","content":"a"}]}` + "\n" + `{"messages":"a"}`:                  `x.jsonl:2: bad data: column "messages"`,
		`{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image"}]}]}`: `part of type`,
	} {
		if _, _, err := load(Options{Chat: chatty}, Limits{}, source(t, "x.jsonl", content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestConversationsThatAreNone(t *testing.T) {
	good := `{"messages":[{"role":"user","content":"a"}]}` + "\n"
	for content, want := range map[string]string{
		`{"messages":[{"content":"a"}]}`:                                     `x.jsonl:1: bad data: column "messages": message 0: it has no role`,
		`{"messages":[{"role":null,"content":"a"}]}`:                         "message 0: it has no role",
		`{"messages":[{"role":7,"content":"a"}]}`:                            "message 0: its role is 7; want a text",
		`{"messages":[["user","a"]]}`:                                        `message 0: it is ["user","a"]; want an object`,
		`{"messages":[null]}`:                                                "message 0: it is null; want an object",
		`{"messages":{"role":"user","content":"a"}}`:                         "want a list of messages with role and content",
		`{"messages":[]}`:                                                    "none of 1 documents gives a prompt (1 are empty",
		`{"messages":null}`:                                                  "none of 1 documents gives a prompt (1 are empty",
		good + `{"messages":[{"role":"user","text":"a"}]}`:                   `x.jsonl:2: bad data: column "messages": message 0: its content is missing or null`,
		good + `{"messages":[{"role":"user","content":null}]}`:               "message 0: its content is missing or null",
		`{"messages":[{"from":"human"}]}`:                                    "message 0: its content is missing or null",
		good + `{"messages":[{"role":"user","content":"a","thinking":"b"}]}`: `x.jsonl:2: bad data: column "messages": message 0: its "thinking" would be lost`,
	} {
		if _, _, err := load(Options{Chat: chatty}, Limits{}, source(t, "x.jsonl", content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", content, err, want)
		}
	}
	ignores := Options{Chat: chatty, Mentions: func(key string) bool { return key != "thinking" }}
	if _, _, err := load(ignores, Limits{}, source(t, "x.jsonl", `{"messages":[{"role":"user","content":"a","thinking":"b"}]}`)); err != nil {
		t.Errorf("a key that the template does not mention: %v", err)
	}
}

func TestMessagesOfTables(t *testing.T) {
	type call struct {
		Name string `parquet:"name"`
	}
	type message struct {
		Role    *string `parquet:"role,optional"`
		Content *string `parquet:"content,optional"`
		Name    *string `parquet:"name,optional"`
		Calls   []call  `parquet:"tool_calls,optional,list"`
	}
	type row struct {
		Messages []message `parquet:"messages,list"`
	}
	user, a, b := ptr("user"), ptr("a"), ptr("b")
	plain := message{user, a, nil, nil}
	for _, c := range []struct {
		second message
		want   string
	}{
		{message{user, a, ptr(""), []call{}}, ""},
		{message{user, a, b, nil}, `message 1: its "name" would be lost`},
		{message{user, a, nil, []call{{"f"}}}, `message 1: its "tool_calls" would be lost`},
		{message{user, nil, nil, nil}, "message 1: its content is missing or null"},
		{message{nil, a, nil, nil}, "message 1: it has no role"},
	} {
		path := writeParquet(t, []row{{[]message{plain, c.second}}, {nil}})
		in, counts, err := load(Options{Chat: chatty}, Limits{}, path)
		if c.want == "" && (err != nil || len(in.IDs) != 1 || counts.Empty != 1) {
			t.Errorf("%v, %+v, %v", in, counts, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestMessagesOfArrow(t *testing.T) {
	fields := arrow.StructOf(arrow.Field{Name: "role", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "content", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "tool_calls", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64), Nullable: true})
	for message, want := range map[string]string{
		`{"role":"user","content":"a","name":"","tool_calls":[]}`:      "",
		`{"role":"user","content":"a","name":null,"tool_calls":null}`:  "",
		`{"role":"user","content":"a","name":"b","tool_calls":null}`:   `message 0: its "name" would be lost`,
		`{"role":"user","content":"a","name":null,"tool_calls":[7]}`:   `message 0: its "tool_calls" would be lost`,
		`{"role":"user","content":null,"name":null,"tool_calls":null}`: "message 0: its content is missing or null",
		`{"role":null,"content":"a","name":null,"tool_calls":null}`:    "message 0: it has no role",
	} {
		schema := arrow.NewSchema([]arrow.Field{{Name: "messages", Type: arrow.ListOf(fields)}}, nil)
		record, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"messages":[`+message+`]}]`))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = load(Options{Chat: chatty}, Limits{}, arrowFile(t, false, record))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", message, err, want)
		}
	}
}

// chatRecord is the conversations of TestConversations as Arrow.
func chatRecord() arrow.Record {
	message := arrow.StructOf(arrow.Field{Name: "content", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "role", Type: arrow.BinaryTypes.String})
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "messages", Type: arrow.ListOf(message)}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil))
	list := b.Field(0).(*array.ListBuilder)
	s := list.ValueBuilder().(*array.StructBuilder)
	say := func(role, content string) {
		s.Append(true)
		s.FieldBuilder(0).(*array.StringBuilder).Append(content)
		s.FieldBuilder(1).(*array.StringBuilder).Append(role)
	}
	list.Append(true)
	say("user", "a")
	say("assistant", "bb cc")
	list.Append(true)
	list.Append(true)
	say("user", "")
	b.Field(1).(*array.Int64Builder).AppendValues([]int64{1, 2, 3}, nil)
	return b.NewRecord()
}

// arrowFile writes record batches as an Arrow file, or as a stream.
func arrowFile(t testing.TB, stream bool, records ...arrow.Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.arrow")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	opts := []ipc.Option{ipc.WithSchema(records[0].Schema()), ipc.WithZstd()}
	var w interface {
		Write(arrow.Record) error
		Close() error
	} = ipc.NewWriter(f, opts...)
	if !stream {
		if w, err = ipc.NewFileWriter(f, opts...); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// arrowRecord has a column of each type that tables of texts have.
func arrowRecord() arrow.Record {
	fields := []arrow.Field{
		{Name: "text", Type: arrow.BinaryTypes.LargeString}, {Name: "label", Type: arrow.PrimitiveTypes.Int8}, {Name: "score", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
		{Name: "ok", Type: arrow.FixedWidthTypes.Boolean}, {Name: "huge", Type: arrow.PrimitiveTypes.Uint64}, {Name: "price", Type: &arrow.Decimal128Type{Precision: 20, Scale: 2}},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32}, {Name: "when", Type: &arrow.TimestampType{Unit: arrow.Millisecond}},
		{Name: "topic", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
		{Name: "vector", Type: arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Float32)},
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	b.Field(0).(*array.LargeStringBuilder).AppendValues([]string{"a bb", "ccc"}, nil)
	b.Field(1).(*array.Int8Builder).AppendValues([]int8{1, -2}, nil)
	b.Field(2).(*array.Float32Builder).AppendValues([]float32{0.5, 0}, []bool{true, false})
	b.Field(3).(*array.BooleanBuilder).AppendValues([]bool{true, false}, nil)
	b.Field(4).(*array.Uint64Builder).AppendValues([]uint64{1<<63 + 1, 2}, nil)
	b.Field(5).(*array.Decimal128Builder).AppendValues([]decimal128.Num{decimal128.FromI64(1999), decimal128.FromI64(-5)}, nil)
	b.Field(6).(*array.Date32Builder).AppendValues([]arrow.Date32{0, 19782}, nil)
	b.Field(7).(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{0, 1709209805250}, nil)
	topic := b.Field(8).(*array.BinaryDictionaryBuilder)
	if topic.AppendString("x") != nil || topic.AppendString("y") != nil {
		return nil
	}
	list := b.Field(9).(*array.FixedSizeListBuilder)
	list.AppendValues([]bool{true, true})
	list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{1, 2, 3, 4}, nil)
	return b.NewRecord()
}

func TestArrow(t *testing.T) {
	for name, stream := range map[string]bool{"file": false, "stream": true} {
		t.Run(name, func(t *testing.T) {
			path := arrowFile(t, stream, arrowRecord(), arrowRecord())
			in := mustLoad(t, Options{Limit: 3}, path)
			if !reflect.DeepEqual(in.IDs, [][]int32{{1, 2}, {3}, {1, 2}}) {
				t.Errorf("%v", in.IDs)
			}
			in.Columns, _ = func() ([]Column, error) { part, err := in.Rows(0, 2); return part.Columns, err }()
			wantColumns(t, in.Columns, []Column{
				{"label", Int64, []int64{1, -2}}, {"score", Float64, []float64{0.5, nan}}, {"ok", Bool, []bool{true, false}}, {"huge", String, []string{"9223372036854775809", "2"}},
				{"price", String, []string{"19.99", "-0.05"}}, {"day", String, []string{"1970-01-01", "2024-02-29"}},
				{"when", String, []string{"1970-01-01T00:00:00", "2024-02-29T12:30:05.25"}}, {"topic", String, []string{"x", "y"}},
			})
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(data); n += 1 + len(data)/300 {
				if _, _, err := load(Options{}, Limits{}, source(t, "x.arrow", string(data[:n]))); err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
					t.Fatalf("cut to %d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestArrowIDs(t *testing.T) {
	fields := []arrow.Field{{Name: "input_ids", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)}, {Name: "attention_mask", Type: arrow.ListOf(arrow.PrimitiveTypes.Int8)}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	ids, mask := b.Field(0).(*array.ListBuilder), b.Field(1).(*array.ListBuilder)
	for _, row := range [][2][]int{{{5, 6, 7}, {0, 1, 1}}, {{8}, {1}}} {
		ids.Append(true)
		mask.Append(true)
		for i, id := range row[0] {
			ids.ValueBuilder().(*array.Int32Builder).Append(int32(id))
			mask.ValueBuilder().(*array.Int8Builder).Append(int8(row[1][i]))
		}
	}
	in := mustLoad(t, Options{}, arrowFile(t, true, b.NewRecord()))
	if !reflect.DeepEqual(in.IDs, [][]int32{{6, 7}, {8}}) || len(in.Columns) != 0 {
		t.Errorf("%+v", in)
	}
}

// FuzzTables gives damaged Parquet and Arrow files to Open: prompts come out, or an error that it promises.
func FuzzTables(f *testing.F) {
	for _, path := range []string{arrowFile(f, false, arrowRecord()), arrowFile(f, true, arrowRecord()), writeParquet(f, []fullRow{{ID: "a", Text: ptr("b")}})} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	defer func(most int64) { maxArrow = most }(maxArrow)
	maxArrow = 16 << 20
	path := filepath.Join(f.TempDir(), "x.dat")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := load(Options{}, Limits{}, path)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrPrompt) && !errors.Is(err, ErrOption) {
			t.Fatalf("%v is none of the errors that Open promises", err)
		}
	})
}

const pyParquet = `
import sys, pyarrow as pa, pyarrow.parquet as pq, pyarrow.feather as feather, duckdb
t = pa.table({
    "text": pa.array(["One.", None, "\u4e09"]), "input_ids": pa.array([None, [5, 6], []], pa.list_(pa.int64())),
    "label": pa.array([1, 0, None], pa.int32()), "group": pa.array(["a", "b", "a"]).dictionary_encode(),
    "ok": [True, False, True], "score": pa.array([0.5, 1.0, 2.0], pa.float32()), "u": pa.array([1, 2, 3], pa.uint8()),
    "half": pa.array([0.5, -2.0, 1.0], pa.float16()), "long": pa.array(["x", "y", None], pa.large_string())})
pq.write_table(t, sys.argv[1] + "/arrow.parquet", row_group_size=2, compression="zstd")
feather.write_feather(t, sys.argv[1] + "/arrow.feather")
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
	for _, name := range []string{"arrow.parquet", "arrow.feather"} {
		in := mustLoad(t, Options{}, filepath.Join(dir, name))
		if !reflect.DeepEqual(in.IDs, [][]int32{{4}, {5, 6}}) || in.Text[0] != "One." {
			t.Errorf("%+v", in)
		}
		wantColumns(t, in.Columns, []Column{{"label", Float64, []float64{1, 0}}, {"group", String, []string{"a", "b"}}, {"ok", Bool, []bool{true, false}},
			{"score", Float64, []float64{0.5, 1}}, {"u", Int64, []int64{1, 2}}, {"half", Float64, []float64{0.5, -2}}, {"long", String, []string{"x", "y"}}})
	}
	in := mustLoad(t, Options{}, filepath.Join(dir, "duck.parquet"))
	if in.Text[1] != "Zwei" || in.Columns[0].Values.([]int64)[1] != 2 {
		t.Errorf("%+v", in)
	}
	if err := os.WriteFile(filepath.Join(dir, "input.parquet"), encode(t, someInput()), 0o644); err != nil {
		t.Fatal(err)
	}
	run(pyInput)
}

// What a batch took is given back, however many there are.
func TestArrowBatchesAreGivenBack(t *testing.T) {
	const batches = 30
	records := slices.Repeat([]arrow.Record{arrowRecord()}, batches)
	for _, stream := range []bool{false, true} {
		f, err := os.Open(arrowFile(t, stream, records...))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := newArrowFile(f)
		if stream {
			r, err = newArrowStream(f)
		}
		if err != nil {
			t.Fatal(err)
		}
		var first, most int64
		rows := 0
		for {
			c, err := r.next(1000)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, r.memory.held.Load())
			if rows == 0 {
				first = most
			}
			parsed, err := c.parse()
			if err != nil {
				t.Fatal(err)
			}
			rows += len(parsed)
		}
		if left := r.memory.held.Load(); rows != 2*batches || first == 0 || most > 3*first || left > first {
			t.Errorf("stream %v: %d rows, %d bytes held for the first batch, %d at most, %d at the end", stream, rows, first, most, left)
		}
	}
}

// What an Arrow file says that it has, and has not, is not allocated.
func TestArrowTakesWhatIsThere(t *testing.T) {
	for name, stream := range map[string]bool{"file": false, "stream": true} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(arrowFile(t, stream, arrowRecord()))
			if err != nil {
				t.Fatal(err)
			}
			length := binary.LittleEndian.AppendUint64(nil, uint64(batchBody(t)))
			if !bytes.Contains(data, length) {
				t.Fatal("the length of the batch is not in the file")
			}
			for _, lie := range []uint64{1 << 20, 3 << 30, 1 << 62, 1 << 63} {
				lying := bytes.ReplaceAll(data, length, binary.LittleEndian.AppendUint64(nil, lie))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, _, err := load(Options{}, Limits{}, source(t, "x.arrow", string(lying)))
				runtime.ReadMemStats(&after)
				if !errors.Is(err, ErrFormat) {
					t.Errorf("a body of %d bytes: %v, want ErrFormat", lie, err)
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
					t.Errorf("a body of %d bytes took %d", lie, took)
				}
			}
		})
	}
}

// batchBody is the length of the body of arrowRecord's batch, as arrowFile writes it.
func batchBody(t *testing.T) (length int64) {
	t.Helper()
	f, err := os.Open(arrowFile(t, true, arrowRecord()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := ipc.NewMessageReader(f); ; {
		m, err := r.Message()
		if errors.Is(err, io.EOF) {
			return length
		}
		if err != nil {
			t.Fatal(err)
		}
		length = m.BodyLen()
	}
}
