package dataset

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// source writes a file and returns its path.
func source(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// words encodes each space-separated word as its length, and puts 0 in front as a special id.
type words struct{ plain bool }

func (e words) Encode(text string, special bool) (ids []int32) {
	if special && !e.plain {
		ids = append(ids, 0)
	}
	for _, w := range strings.Fields(text) {
		ids = append(ids, int32(len(w)))
	}
	return ids
}

func (e words) EncodeOffsets(text string, special bool) (ids, starts, ends []int32) {
	ids = e.Encode(text, special)
	if len(ids) > len(strings.Fields(text)) {
		starts, ends = []int32{0}, []int32{0}
	}
	at := int32(0)
	for _, r := range text + " " {
		switch within := len(starts) > len(ends); {
		case !within && r != ' ':
			starts = append(starts, at)
		case within && r == ' ':
			ends = append(ends, at)
		}
		at++
	}
	return ids, starts, ends
}

func (words) IsSpecial(id int32) bool { return id == 0 }

func (words) Decode(ids []int32) string {
	var out []string
	for _, id := range ids {
		out = append(out, strings.Repeat("x", int(id)))
	}
	return strings.Join(out, " ")
}

// load reads a source to its end, as words.
func load(opt Options, limits Limits, paths ...string) (*Input, Counts, error) {
	s, err := Open(paths, opt)
	if err != nil {
		return nil, Counts{}, err
	}
	var b bytes.Buffer
	counts, err := s.Tokenize(&b, words{plain: true}, limits)
	if err != nil {
		return nil, counts, err
	}
	in, err := ReadInput(bytes.NewReader(b.Bytes()), int64(b.Len()))
	return in, counts, err
}

func mustLoad(t testing.TB, opt Options, paths ...string) *Input {
	t.Helper()
	in, _, err := load(opt, Limits{}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

const someJSONL = "\ufeff" + `{"id": "a", "text": "One.", "label": 1, "score": 2, "ok": true, "note": null}
  
{"id": "b", "text": "Zwei \u00fc", "label": 0, "score": 0.5, "ok": false, "late": 7}` + "\r\n" + `{"label": -3, "input_ids": [5, 0], "id": null, "ok": true, "score": null}
`

func TestJSONL(t *testing.T) {
	in := mustLoad(t, Options{}, source(t, "x.jsonl", someJSONL))
	if !reflect.DeepEqual(in.Text, []string{"One.", "Zwei ü", ""}) || !reflect.DeepEqual(in.IDs, [][]int32{{4}, {4, 2}, {5, 0}}) {
		t.Fatalf("%+v", in)
	}
	wantColumns(t, in.Columns, []Column{
		{"id", String, []string{"a", "b", ""}},
		{"label", Int64, []int64{1, 0, -3}},
		{"score", Float64, []float64{2, 0.5, math.NaN()}},
		{"ok", Bool, []bool{true, false, true}},
		{"note", String, []string{"", "", ""}},
		{"late", Float64, []float64{math.NaN(), 7, math.NaN()}},
	})
	sum := sha256.Sum256([]byte(someJSONL))
	if in.Digest != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %s", in.Digest)
	}
}

func wantColumns(t *testing.T, got, want []Column) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("columns %+v, want %+v", got, want)
	}
	for i := range want {
		g, w := got[i], want[i]
		same := reflect.DeepEqual(g, w)
		if w.Type == Float64 && g.Type == Float64 && g.Name == w.Name {
			same = sameFloats(g.Values.([]float64), w.Values.([]float64))
		}
		if !same {
			t.Errorf("column %+v, want %+v", g, w)
		}
	}
}

func sameFloats(a, b []float64) bool {
	for i := range b {
		if len(a) != len(b) || a[i] != b[i] && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

const someCSV = "\ufefftext,label,id,score,ok,zip,empty,big\r\n" +
	"\"Hello, \"\"you\"\"\nthere\",1,7,1,True,007,,9007199254740993\r\n" +
	"plain,0,8,,false,12,,\r\n"

func TestCSV(t *testing.T) {
	in := mustLoad(t, Options{}, source(t, "x.csv", someCSV))
	if !reflect.DeepEqual(in.Text, []string{"Hello, \"you\"\nthere", "plain"}) {
		t.Errorf("%q", in.Text)
	}
	wantColumns(t, in.Columns, []Column{
		{"label", Int64, []int64{1, 0}},
		{"id", Int64, []int64{7, 8}},
		{"score", Float64, []float64{1, math.NaN()}},
		{"ok", Bool, []bool{true, false}},
		{"zip", String, []string{"007", "12"}},
		{"empty", String, []string{"", ""}},
		{"big", String, []string{"9007199254740993", ""}},
	})
}

func TestCSVWithIDs(t *testing.T) {
	in := mustLoad(t, Options{}, source(t, "x.csv", "input_ids,text\n\"[1, 2]\",\n,word\n"))
	if !reflect.DeepEqual(in.IDs, [][]int32{{1, 2}, {4}}) || in.Text[1] != "word" {
		t.Errorf("%+v", in)
	}
}

func TestLimit(t *testing.T) {
	for name, content := range map[string]string{
		"x.jsonl": `{"text":"a"}` + "\n" + `{"text":"b"}` + "\n" + `broken`,
		"x.csv":   "text\na\nb\n\"broken",
	} {
		path := source(t, name, content)
		in, _, err := load(Options{Limit: 2}, Limits{}, path)
		if err != nil || in.NumRows() != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		sum := sha256.Sum256([]byte(content))
		if in.Digest != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the digest is not of the whole file", name)
		}
		if _, err := Open([]string{path}, Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s without a limit: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ file, content, want string }{
		"malformed":       {"x.jsonl", "{\"text\":\"a\"}\n{\"text\":", "x.jsonl:2: bad data: not JSON: unexpected end"},
		"array cut":       {"x.json", `[{"text":"a"},`, "x.json row 1: bad data: not JSON: unexpected end"},
		"array and more":  {"x.json", `[{"text":"a"}] {}`, "not JSON: something follows the array"},
		"array of arrays": {"x.jsonl", "[1]\n[2]", "not JSON: something follows the array"},
		"scalar":          {"x.jsonl", `7`, ":1: bad data: not a JSON object"},
		"two objects":     {"x.jsonl", `{"text":"a"} {"text":"b"}`, "not JSON"},
		"not utf-8":       {"x.jsonl", "{\"text\":\"\xff\"}", ":1: bad data: not UTF-8"},
		"utf-16":          {"x.jsonl", "\xff\xfe{\x00}\x00", "UTF-16 text, not UTF-8 text"},
		"lone surrogate":  {"x.jsonl", `{"text":"\ud800"}`, "half a character"},
		"no text":         {"x.jsonl", `{"name":"a","place":"b"}`, "neither text nor input_ids: say with --text COLUMN which column holds the prompts, such as --text name (there are name, place)"},
		"no text at all":  {"x.jsonl", `{"n":1}`, "no column of text and no input_ids (there are n)"},
		"no columns":      {"x.jsonl", `{}`, "no column of text"},
		"text a number":   {"x.jsonl", `{"text":7}`, `column "text" holds whole numbers, want text`},
		"twice":           {"x.jsonl", `{"text":"a","x":1,"x":2}`, `column "x" is there twice`},
		"text twice":      {"x.jsonl", `{"text":"a","text":"b"}`, `"text" is there twice`},
		"case":            {"x.jsonl", `{"text":"a","x":1,"X":2}`, "differ only in case"},
		"mixture":         {"x.jsonl", "{\"text\":\"a\",\"x\":1}\n{\"text\":\"a\",\"x\":\"1\"}", `:2: bad data: column "x" holds whole numbers, and here text`},
		"bool and number": {"x.jsonl", "{\"text\":\"a\",\"x\":true}\n{\"text\":\"a\",\"x\":1}", `column "x" holds true or false, and here whole numbers`},
		"ids not a list":  {"x.jsonl", `{"input_ids":7}`, "want a list of token ids"},
		"ids fraction":    {"x.jsonl", `{"input_ids":[1.5]}`, "want a list of token ids"},
		"ids negative":    {"x.jsonl", `{"input_ids":[-1]}`, ":1: bad data: column \"input_ids\": -1 is no token id"},
		"ids huge":        {"x.jsonl", `{"input_ids":[2147483648]}`, "no token id"},
		"long name":       {"x.jsonl", `{"text":"a","` + long + `":1}`, "column name"},
		"empty":           {"x.jsonl", "\n \n", "no rows"},
		"csv empty":       {"x.csv", "", "no rows"},
		"csv no rows":     {"x.csv", "text,label\n", "no rows"},
		"csv ragged":      {"x.csv", "text,label\na,1\nb\n", "x.csv:3: bad data: not as many fields"},
		"csv long":        {"x.csv", "text,label\na,1,2\n", "x.csv:2: bad data: not as many fields"},
		"csv quote":       {"x.csv", "text\na\n\"b\n", "x.csv:3: bad data: extraneous or missing"},
		"csv bare quote":  {"x.csv", "text\na\"b\n", "x.csv:2: bad data: bare \""},
		"csv header":      {"x.csv", "name,label\na,1\nb,x\n", "neither text nor input_ids: say with --text COLUMN which column holds the prompts, such as --text name (there are name, label)"},
		"csv twice":       {"x.csv", "text,a,a\nx,1,2\n", `column "a" is there twice`},
		"csv not utf-8":   {"x.csv", "text\n\xff\n", "x.csv:2: bad data: not UTF-8"},
		"csv ids":         {"x.csv", "input_ids\n1 2\n", "x.csv:2: bad data: column \"input_ids\": want a list of token ids"},
		"extension":       {"x.txt", "text", `unknown kind ".txt"`},
		"not parquet":     {"x.parquet", "PAR1 is not all there is to it PAR1", "x.parquet: bad data"},
		"short parquet":   {"x.parquet", "PAR1", "no Parquet file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(Options{}, Limits{}, source(t, c.file, c.content))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v\nwant %s", err, c.want)
			}
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
				t.Errorf("%v is neither ErrFormat nor ErrEmpty", err)
			}
		})
	}
	if _, err := Open([]string{filepath.Join(t.TempDir(), "none.jsonl")}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestLineTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 200 MB")
	}
	long := io.MultiReader(strings.NewReader("{\"text\":\"a\"}\n"), endless('a'))
	r := &lineReader{in: bufio.NewReader(long)}
	var at *rowError
	if _, err := r.next(math.MaxInt); !errors.Is(err, errTooLong) || !errors.As(err, &at) || at.at != 2 {
		t.Errorf("a line without an end: %v", err)
	}
	c, err := newCSVReader(io.MultiReader(strings.NewReader("text\n\""), endless('a')), ',')
	if err == nil {
		_, err = c.next(math.MaxInt)
	}
	if !errors.Is(err, errTooLong) {
		t.Errorf("a quote without an end: %v", err)
	}
	if _, err := newArrayReader(io.MultiReader(strings.NewReader("[{\"text\": \""), endless('a'))).next(math.MaxInt); !errors.Is(err, errTooLong) {
		t.Errorf("an element without an end: %v", err)
	}
}

// endless reads as one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestTemplates(t *testing.T) {
	for name, want := range map[string]string{
		"":             "Is {x} 5?",
		"none":         "Is {x} 5?",
		"phi-qa":       "Instruct: Is {x} 5?\nOutput:",
		"vicuna":       "USER: Is {x} 5? ASSISTANT:",
		"llama-2":      "[INST] Is {x} 5? [/INST]",
		"llama-3":      "<|start_header_id|>user<|end_header_id|>\n\nIs {x} 5?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"phi":          "<|user|>\nIs {x} 5?<|end|>\n<|assistant|>\n",
		"gemma":        "<start_of_turn>user\nIs {x} 5?<end_of_turn>\n<start_of_turn>model\n",
		"zephyr":       "<|user|>\nIs {x} 5?</s>\n<|assistant|>\n",
		"chatml":       "<|im_start|>user\nIs {x} 5?<|im_end|>\n<|im_start|>assistant\n",
		"Q: {text} A:": "Q: Is {x} 5? A:",
	} {
		in, _, err := load(Options{Template: name}, Limits{}, source(t, "x.jsonl", `{"text":"Is {x} 5?"}`))
		if err != nil || in.Text[0] != want {
			t.Errorf("%q: %v, %v", name, in, err)
		}
	}
	for _, name := range Templates() {
		if strings.Count(templates[name], slot) != 1 {
			t.Errorf("template %s does not hold the text once", name)
		}
	}
	if _, err := Open([]string{source(t, "x.jsonl", `{"text":"a"}`)}, Options{Template: "gpt5"}); err == nil || !strings.Contains(err.Error(), "alpaca, chatml") {
		t.Errorf("unknown template: %v", err)
	}
	if _, _, err := load(Options{Template: "alpaca"}, Limits{}, source(t, "x.jsonl", `{"input_ids":[1],"text":"a"}`)); !errors.Is(err, ErrPrompt) {
		t.Errorf("template around ids: %v", err)
	}
}

func TestTokenizeRefuses(t *testing.T) {
	limits := Limits{MaxTokens: 3, Vocab: 10}
	for line, want := range map[string]string{
		`{"text":""}`:                      "the prompt is empty",
		`{"text":"  "}`:                    "the prompt is empty",
		`{"input_ids":[]}`:                 "the prompt is empty",
		`{"text":null}`:                    "the prompt is empty",
		`{}`:                               "the prompt is empty",
		`{"text":"a b c d"}`:               "the prompt has 4 tokens, and the limit is 3",
		`{"input_ids":[1,2,3,4]}`:          "the prompt has 4 tokens",
		`{"input_ids":[1,10]}`:             "token id 10 is not in the vocabulary of 10",
		`{"text":"abcdefghijklm"}`:         "token id 13 is not in",
		`{"text":null,"input_ids":[1,99]}`: "token id 99",
	} {
		_, _, err := load(Options{Empty: EmptyRefuse}, limits, source(t, "x.jsonl", `{"text":"fine"}`+"\n"+line))
		if !errors.Is(err, ErrPrompt) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.jsonl:2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// fuzzSource gives files of a kind to Open: prompts come out, or ErrFormat, ErrEmpty, ErrPrompt or ErrOption.
func fuzzSource(f *testing.F, name string) {
	path := filepath.Join(f.TempDir(), name)
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		in, counts, err := load(Options{}, Limits{}, path)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrPrompt) && !errors.Is(err, ErrOption) {
				t.Fatalf("%v is none of the errors that Open promises", err)
			}
			return
		}
		if int64(in.NumRows()) != counts.Prompts || counts.Prompts+counts.Empty != counts.Documents {
			t.Fatalf("%d rows, %+v", in.NumRows(), counts)
		}
	})
}

func FuzzJSONL(f *testing.F) {
	f.Add(someJSONL)
	f.Add(`{"text":"a","x":true}` + "\n" + `{"input_ids":[1,2],"x":false,"y":{"z":[1]}}`)
	f.Add(`[{"text":"a","x":1e999},{"text":"b","x":99999999999999999999}]`)
	fuzzSource(f, "x.jsonl")
}

func FuzzCSV(f *testing.F) {
	f.Add(someCSV)
	f.Add("input_ids,x,text\n\"[1]\",true,a\n,false,b\n")
	fuzzSource(f, "x.csv")
}
