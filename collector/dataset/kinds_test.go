package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// fourRows is one small data set in every spelling that is read.
const fourRows = `{"text":"a bb","label":0}
{"text":"ccc","label":1}
{"text":"d d d","label":0}
{"text":"ee","label":1}
`

func wantFour(t *testing.T, in *Input) {
	t.Helper()
	if !reflect.DeepEqual(in.IDs, [][]int32{{1, 2}, {3}, {1, 1, 1}, {2}}) {
		t.Errorf("ids %v", in.IDs)
	}
	wantColumns(t, in.Columns, []Column{{"label", Int64, []int64{0, 1, 0, 1}}})
}

func packedWith(t *testing.T, content string, open func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextOfEveryKindIsTheSame(t *testing.T) {
	array := "[" + strings.ReplaceAll(strings.TrimSpace(fourRows), "\n", ",\n ") + "]\n"
	csv := "text,label\na bb,0\nccc,1\nd d d,0\nee,1\n"
	for name, content := range map[string]string{
		"x.jsonl": fourRows, "x.ndjson": fourRows, "x.json": array, "bom.jsonl": "\ufeff" + strings.ReplaceAll(fourRows, "\n", "\r\n"),
		"no-end.jsonl": strings.TrimSpace(fourRows), "array.jsonl": array, "lines.json": "\n\n" + fourRows + "\n\n", "no-name": fourRows,
		"x.csv": csv, "semicolon.csv": strings.ReplaceAll(csv, ",", ";"), "tab.csv": strings.ReplaceAll(csv, ",", "\t"), "x.tsv": strings.ReplaceAll(csv, ",", "\t"),
	} {
		t.Run(name, func(t *testing.T) { wantFour(t, mustLoad(t, Options{}, source(t, name, content))) })
	}
}

func TestPackedTextIsToldByItsContent(t *testing.T) {
	packers := map[string]func(io.Writer) io.WriteCloser{
		"gzip":   func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"brotli": func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	}
	for kind, open := range packers {
		for _, name := range []string{"x.jsonl", "x.jsonl.gz", "x.json.zst", "x.jsonl.br", "x"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				packed := packedWith(t, fourRows, open)
				wantFour(t, mustLoad(t, Options{}, source(t, name, packed)))
				if _, _, err := load(Options{}, Limits{}, source(t, name, packed[:len(packed)/2])); !errors.Is(err, ErrFormat) {
					t.Errorf("half of it: %v", err)
				}
			})
		}
	}
}

func TestFilesFoldersAndPatterns(t *testing.T) {
	dir := t.TempDir()
	lines := strings.SplitAfter(fourRows, "\n")
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := write("d/data/part-0.jsonl", lines[0]+lines[1]), write("d/data/part-1.jsonl", lines[2]+lines[3])
	write("d/data/.hidden.jsonl", "x")
	write("d/data/dataset_info.json", "{}")
	write("d/data/README.md", "x")
	for name, paths := range map[string][]string{
		"two": {a, b}, "commas": {a + "," + b}, "folder": {filepath.Join(dir, "d/data")}, "only folder below": {filepath.Join(dir, "d")},
		"pattern": {filepath.Join(dir, "d/data/part-*")},
	} {
		t.Run(name, func(t *testing.T) { wantFour(t, mustLoad(t, Options{}, paths...)) })
	}
	in := mustLoad(t, Options{Limit: 3}, a, b)
	if in.NumRows() != 3 {
		t.Errorf("limit 3 over two files: %d rows", in.NumRows())
	}
	write("mixed/a.jsonl", lines[0])
	write("mixed/b.csv", "text\na\n")
	write("several/a/x.jsonl", lines[0])
	write("several/b/x.jsonl", lines[0])
	for path, want := range map[string]string{
		filepath.Join(dir, "mixed"):       "several kinds (1 .jsonl, 1 .csv)",
		filepath.Join(dir, "several"):     "give one of its folders",
		filepath.Join(dir, "none-*"):      "no file matches",
		"someone/some-data":               "if it is a data set of the hub, download it",
		a + "," + a:                       "named twice",
		filepath.Join(dir, "not-there.x"): "give a file, a folder or a pattern",
	} {
		if _, err := Open([]string{path}, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Open([]string{"someone/some-data"}, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestForeignFilesAreNamed(t *testing.T) {
	for content, want := range map[string]string{
		"\xfd7zXZ\x00abc": "xz -d", "PK\x03\x04abc": "zip archive", "SQLite format 3\x00": "SQLite", "<!DOCTYPE html>": "a web page",
		"version https://git-lfs.github.com/spec/v1\n": "git lfs pull", "\x80\x04\x95": "pickle", "\x00\x01\x02\x03": "unknown kind",
	} {
		_, err := Open([]string{source(t, "x.dat", content)}, Options{})
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

// notes opens a source and returns what it says.
func notes(t *testing.T, opt Options, content string) string {
	t.Helper()
	s, err := Open([]string{source(t, "x.jsonl", content)}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(s.Notes(), "\n")
}

func TestColumnsThatAreCarried(t *testing.T) {
	long := strings.Repeat("9", 100_000)
	for name, c := range map[string]struct {
		content string
		opt     Options
		want    []Column
		says    string
	}{
		"list and record left out": {`{"text":"a","tags":["x"],"meta":{"a":1},"label":1}`, Options{}, []Column{{"label", Int64, []int64{1}}}, "left out: tags (a list), meta (a record)"},
		"keep":                     {`{"text":"a","x":1,"y":2}`, Options{Keep: []string{"y"}}, []Column{{"y", Int64, []int64{2}}}, ""},
		"drop a mixture":           {"{\"text\":\"a\",\"x\":1}\n{\"text\":\"b\",\"x\":\"1\"}", Options{Drop: []string{"x"}}, nil, ""},
		"bool with a gap":          {"{\"text\":\"a\",\"ok\":true}\n{\"text\":\"b\"}", Options{}, []Column{{"ok", String, []string{"true", ""}}}, "column ok is carried as text: true and false, with gaps"},
		"large beside a fraction":  {"{\"text\":\"a\",\"x\":9007199254740993}\n{\"text\":\"b\",\"x\":0.50}", Options{}, []Column{{"x", String, []string{"9007199254740993", "0.50"}}}, "beyond 2^53"},
		"large beside a gap":       {"{\"text\":\"a\",\"x\":9007199254740993}\n{\"text\":\"b\"}", Options{}, []Column{{"x", String, []string{"9007199254740993", ""}}}, "beyond 2^53"},
		"large alone":              {`{"text":"a","x":9007199254740993}`, Options{}, []Column{{"x", Int64, []int64{9007199254740993}}}, ""},
		"100,000 digits":           {`{"text":"a","x":` + long + `}`, Options{}, []Column{{"x", String, []string{long}}}, "neither int64 nor float64"},
		"1e999":                    {"{\"text\":\"a\",\"x\":1e999}\n{\"text\":\"b\",\"x\":1}", Options{}, []Column{{"x", String, []string{"1e999", "1"}}}, "neither int64 nor float64"},
		"names of ours": {`{"text":"a","row":7,"Token":"t","fc1_3":1,"__file":"f","p_yes__ia3":0.5}`, Options{}, []Column{{"data_row", Int64, []int64{7}}, {"data_Token", String, []string{"t"}},
			{"data_fc1_3", Int64, []int64{1}}, {"data___file", String, []string{"f"}}, {"data_p_yes__ia3", Float64, []float64{0.5}}}, "column __file is stored as data___file"},
		"a taken new name": {`{"text":"a","row":7,"data_row":8}`, Options{}, []Column{{"data_data_row", Int64, []int64{7}}, {"data_row", Int64, []int64{8}}}, ""},
		"names of windows": {`{"text":"a","doc":"d"}`, Options{Long: LongWindow}, []Column{{"data_doc", String, []string{"d"}}, {"doc", Int64, []int64{0}}, {"doc_pos", Int64, []int64{0}}}, ""},
		"label":            {`{"text":"a","truth":"yes","label":3}`, Options{Label: "truth"}, []Column{{"label", String, []string{"yes"}}, {"data_label", Int64, []int64{3}}}, ""},
		"label map": {"{\"text\":\"a\",\"truth\":\"yes\"}\n{\"text\":\"a\",\"truth\":\"no\"}\n{\"text\":\"a\",\"truth\":\"maybe\"}",
			Options{Label: "truth", Labels: map[string]int64{"no": 0, "yes": 1, "maybe": 2}}, []Column{{"label", Int64, []int64{1, 0, 2}}}, ""},
		"label map of numbers": {"{\"text\":\"a\",\"label\":-1}\n{\"text\":\"a\",\"label\":1}", Options{Labels: map[string]int64{"-1": 0, "1": 1}}, []Column{{"label", Int64, []int64{0, 1}}}, ""},
		"label map of bools":   {"{\"text\":\"a\",\"label\":true}\n{\"text\":\"a\",\"label\":false}", Options{Labels: map[string]int64{"true": 1, "false": 0}}, []Column{{"label", Int64, []int64{1, 0}}}, ""},
		"odd names":            {`{"text":"a","größe":1,"a b":2,"a,\"b":3,"a\u00a0b":4}`, Options{}, []Column{{"größe", Int64, []int64{1}}, {"a b", Int64, []int64{2}}, {`a,"b`, Int64, []int64{3}}, {"a\u00a0b", Int64, []int64{4}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			wantColumns(t, mustLoad(t, c.opt, source(t, "x.jsonl", c.content)).Columns, c.want)
			if says := notes(t, c.opt, c.content); !strings.Contains(says, c.says) || len(says) > 1000 {
				t.Errorf("it says %q, want %q", says, c.says)
			}
		})
	}
}

func TestColumnsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		opt     Options
		want    string
	}{
		"keep a list":         {`{"text":"a","tags":[]}`, Options{Keep: []string{"tags"}}, `column "tags" holds a list`},
		"label a list":        {`{"text":"a","tags":[]}`, Options{Label: "tags"}, `column "tags" holds a list`},
		"keep what is not":    {`{"text":"a","x":1}`, Options{Keep: []string{"y"}}, "--keep y: no such column (there are text, x)"},
		"text that is not":    {`{"text":"a","x":1}`, Options{Text: "y"}, "--text y: no such column"},
		"text of numbers":     {`{"text":"a","x":1}`, Options{Text: "x"}, `column "x" holds whole numbers, want text`},
		"keep and drop":       {`{"text":"a","x":1}`, Options{Keep: []string{"x"}, Drop: []string{"x"}}, "--keep and --drop"},
		"not in the map":      {`{"text":"a","label":"maybe"}`, Options{Labels: map[string]int64{"no": 0}}, `:1: bad data: column "label": label "maybe" is not in --label-map`},
		"map without a label": {`{"text":"a","x":1}`, Options{Labels: map[string]int64{"no": 0}}, "--label-map needs --label"},
		"control character":   {`{"text":"a","x\u0001":1}`, Options{}, "column name"},
		"long":                {`{"text":"a","long":1}`, Options{Long: "wrap"}, "--long wrap"},
		"empty":               {`{"text":"a"}`, Options{Empty: "keep"}, "--empty keep"},
		"overlap":             {`{"text":"a"}`, Options{Overlap: 1}, "--overlap 1: windows overlap"},
		"no chat template":    {`{"messages":[{"role":"user","content":"a"}]}`, Options{}, "messages holds conversations, and the checkpoint has no chat template"},
		"template chat":       {`{"text":"a"}`, Options{Template: ChatTemplate}, "--template chat: the checkpoint has no chat template"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(c.opt, Limits{}, source(t, "x.jsonl", c.content))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestTheColumnOfPromptsIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		opt     Options
		want    []int32
	}{
		"content among others": {`{"id":"xxxxx","content":"a bb"}`, Options{}, []int32{1, 2}},
		"the only text":        {`{"n":1,"w":"a bb"}`, Options{}, []int32{1, 2}},
		"as asked":             {`{"text":"x","w":"a bb"}`, Options{Text: "w"}, []int32{1, 2}},
		"case":                 {`{"id":"xxxxx","Prompt":"a bb"}`, Options{}, []int32{1, 2}},
		"ids before text":      {`{"text":"x","input_ids":[1,2]}`, Options{}, []int32{1, 2}},
		"text rather than ids": {`{"text":"a bb","input_ids":[9]}`, Options{Text: "text"}, []int32{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if in := mustLoad(t, c.opt, source(t, "x.jsonl", c.content)); !reflect.DeepEqual(in.IDs, [][]int32{c.want}) {
				t.Errorf("ids %v", in.IDs)
			}
		})
	}
	_, err := Open([]string{source(t, "x.jsonl", `{"question":"a","answer":"b","prompt":"c"}`)}, Options{})
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "--text prompt (there are question, answer, prompt)") {
		t.Errorf("two that can be meant: %v", err)
	}
}

func TestAttentionMask(t *testing.T) {
	for mask, want := range map[string]string{
		`[1,1,1]`: "[5 6 7]", `[1,1,0]`: "[5 6]", `[0,1,1]`: "[6 7]", `[true,false,false]`: "[5]", `null`: "[5 6 7]", `2`: "[5 6]",
		`[1,0,1]`: `position 1 is 0`, `[1,2,2]`: `position 1 is 2`, `[1,1]`: "it has length 2, and input_ids has length 3", `"x"`: "want a list of 0 and 1", `4`: "4 of 3 ids",
	} {
		in, _, err := load(Options{}, Limits{}, source(t, "x.jsonl", `{"input_ids":[5,6,7],"attention_mask":`+mask+`}`))
		switch {
		case err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.jsonl:1: bad data: column \"attention_mask\"")):
			t.Errorf("%s: %v, want %s", mask, err, want)
		case err == nil && (fmt.Sprint(in.IDs[0]) != want || len(in.Columns) != 0):
			t.Errorf("%s: %v, want %s; columns %v", mask, in.IDs[0], want, in.Columns)
		}
	}
	_, counts, err := load(Options{}, Limits{}, source(t, "x.jsonl", `{"input_ids":[5],"attention_mask":[0]}`+"\n"+`{"input_ids":[5],"attention_mask":[1]}`))
	if err != nil || counts.Empty != 1 || counts.Prompts != 1 {
		t.Errorf("all padding: %+v, %v", counts, err)
	}
}

func TestEmptyDocumentsAreCounted(t *testing.T) {
	in, counts, err := load(Options{}, Limits{}, source(t, "x.jsonl", `{"text":"a"}`+"\n\n"+`{"text":""}`+"\n"+`{"text":null}`+"\n"+`{"n":1}`+"\n"+`{"text":"b"}`))
	if err != nil || in.NumRows() != 2 || counts.Empty != 3 || counts.Documents != 5 || !strings.HasSuffix(counts.FirstEmpty, "x.jsonl:3") {
		t.Errorf("%+v, %v", counts, err)
	}
	if _, _, err := load(Options{}, Limits{}, source(t, "x.jsonl", `{"text":""}`+"\n"+`{"text":" "}`)); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing but empty ones: %v", err)
	}
}

func TestBytesAreTheSameOnAnyNumberOfCores(t *testing.T) {
	var content strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&content, `{"text":"%s","n":%d}`+"\n", strings.Repeat("ab c ", i%97), i)
	}
	path := source(t, "x.jsonl", content.String())
	var first []byte
	for _, cores := range []int{1, 2, 7} {
		setCores(t, cores)
		s, err := Open([]string{path}, Options{Context: 50, Overlap: 3, Pack: true})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := s.Tokenize(&b, words{}, Limits{}); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		}
		if !bytes.Equal(b.Bytes(), first) {
			t.Errorf("other bytes with %d cores", cores)
		}
	}
}

func TestFloat16(t *testing.T) {
	for bits, want := range map[uint16]float64{0x3800: 0.5, 0x3c00: 1, 0xc000: -2, 1: math.Ldexp(1, -24), 0x7bff: 65504, 0x7c00: math.Inf(1), 0x8000: 0} {
		if got := half([]byte{byte(bits), byte(bits >> 8)}); got != want {
			t.Errorf("%#x is %v, want %v", bits, got, want)
		}
	}
}
