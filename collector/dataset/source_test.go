package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

func open(t testing.TB, name, content string) *Set {
	t.Helper()
	s, err := Open(source(t, name, content), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const someJSONL = "\ufeff" + `{"id": "a", "text": "One.", "label": 1, "score": 2, "ok": true, "note": null}
  
{"id": "b", "text": "Zwei \u00fc", "label": 0, "score": 0.5, "ok": false, "late": 7}` + "\r\n" + `{"label": -3, "input_ids": [5, 0], "id": null, "ok": true, "score": null}
`

func TestJSONL(t *testing.T) {
	s := open(t, "x.jsonl", someJSONL)
	if s.Rows != 3 || !reflect.DeepEqual(s.Text, []string{"One.", "Zwei ü", ""}) || !reflect.DeepEqual(s.IDs, [][]int32{nil, nil, {5, 0}}) {
		t.Fatalf("%+v", s)
	}
	wantColumns(t, s.Columns, []Column{
		{"id", String, []string{"a", "b", ""}},
		{"label", Int64, []int64{1, 0, -3}},
		{"score", Float64, []float64{2, 0.5, math.NaN()}},
		{"ok", Bool, []bool{true, false, true}},
		{"note", String, []string{"", "", ""}},
		{"late", Float64, []float64{math.NaN(), 7, math.NaN()}},
	})
	sum := sha256.Sum256([]byte(someJSONL))
	if s.Digest() != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %s", s.Digest())
	}
	if !strings.HasSuffix(s.Where(2), "x.jsonl:4") {
		t.Errorf("row 2 is at %s", s.Where(2))
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
	s := open(t, "x.csv", someCSV)
	if !reflect.DeepEqual(s.Text, []string{"Hello, \"you\"\nthere", "plain"}) {
		t.Errorf("%q", s.Text)
	}
	wantColumns(t, s.Columns, []Column{
		{"label", Int64, []int64{1, 0}},
		{"id", Int64, []int64{7, 8}},
		{"score", Float64, []float64{1, math.NaN()}},
		{"ok", Bool, []bool{true, false}},
		{"zip", String, []string{"007", "12"}},
		{"empty", String, []string{"", ""}},
		{"big", String, []string{"9007199254740993", ""}},
	})
	if !strings.HasSuffix(s.Where(0), ":2") || !strings.HasSuffix(s.Where(1), ":4") {
		t.Errorf("rows at %s and %s", s.Where(0), s.Where(1))
	}
}

func TestCSVWithIDs(t *testing.T) {
	s := open(t, "x.csv", "input_ids,text\n\"[1, 2]\",\n,word\n")
	if !reflect.DeepEqual(s.IDs, [][]int32{{1, 2}, nil}) || s.Text[1] != "word" {
		t.Errorf("%+v", s)
	}
}

func TestLimit(t *testing.T) {
	for name, content := range map[string]string{
		"x.jsonl": `{"text":"a"}` + "\n" + `{"text":"b"}` + "\n" + `broken`,
		"x.csv":   "text\na\nb\n\"broken",
	} {
		path := source(t, name, content)
		s, err := Open(path, Options{Limit: 2})
		if err != nil || s.Rows != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		sum := sha256.Sum256([]byte(content))
		if s.Digest() != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the digest is not of the whole file", name)
		}
		if _, err := Open(path, Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s without a limit: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ file, content, want string }{
		"malformed":       {"x.jsonl", "{\"text\":\"a\"}\n{\"text\":", "x.jsonl:2: bad data: not JSON: unexpected end"},
		"array":           {"x.json", `[{"text":"a"}]`, "x.json:1: bad data: a JSON array"},
		"scalar":          {"x.jsonl", `7`, ":1: bad data: not a JSON object"},
		"two objects":     {"x.jsonl", `{"text":"a"} {"text":"b"}`, "not JSON"},
		"not utf-8":       {"x.jsonl", "{\"text\":\"\xff\"}", ":1: bad data: not UTF-8"},
		"utf-16":          {"x.jsonl", "\xff\xfe{\x00}\x00", "not UTF-8"},
		"lone surrogate":  {"x.jsonl", `{"text":"\ud800"}`, "half a character"},
		"no text":         {"x.jsonl", "{\"text\":\"a\"}\n\n{\"statement\":\"b\"}", ":3: bad data: neither text nor input_ids (its columns: statement)"},
		"text a number":   {"x.jsonl", `{"text":7}`, `column "text" holds whole numbers, want text`},
		"twice":           {"x.jsonl", `{"text":"a","x":1,"x":2}`, `column "x" is there twice`},
		"text twice":      {"x.jsonl", `{"text":"a","text":"b"}`, `"text" is there twice`},
		"case":            {"x.jsonl", `{"text":"a","x":1,"X":2}`, "differ only in case"},
		"nested":          {"x.jsonl", `{"text":"a","x":{"y":1}}`, `column "x": a list or an object`},
		"mixture":         {"x.jsonl", "{\"text\":\"a\",\"x\":1}\n{\"text\":\"a\",\"x\":\"1\"}", `:2: bad data: column "x" holds whole numbers, and here text`},
		"bool and number": {"x.jsonl", "{\"text\":\"a\",\"x\":true}\n{\"text\":\"a\",\"x\":1}", `column "x" holds true or false, and here whole numbers`},
		"bool missing":    {"x.jsonl", "{\"text\":\"a\",\"x\":true}\n{\"text\":\"a\"}", "line 2: column \"x\" holds true or false, and a row has no value"},
		"bool late":       {"x.jsonl", "{\"text\":\"a\"}\n{\"text\":\"a\",\"x\":true}", ":2: bad data: column \"x\" holds true or false"},
		"big number":      {"x.jsonl", `{"text":"a","x":99999999999999999999}`, "no int64"},
		"huge float":      {"x.jsonl", `{"text":"a","x":1e999}`, "no float64"},
		"inexact":         {"x.jsonl", "{\"text\":\"a\",\"x\":0.5}\n{\"text\":\"a\",\"x\":9007199254740993}", "too large for a column of fractions"},
		"ids not a list":  {"x.jsonl", `{"input_ids":7}`, "want a list of token ids"},
		"ids fraction":    {"x.jsonl", `{"input_ids":[1.5]}`, "want a list of token ids"},
		"ids negative":    {"x.jsonl", `{"input_ids":[-1]}`, "-1 is no token id"},
		"ids huge":        {"x.jsonl", `{"input_ids":[2147483648]}`, "no token id"},
		"reserved":        {"x.jsonl", `{"text":"a","Pos":1}`, "our own column pos; rename it"},
		"reserved too":    {"x.jsonl", `{"text":"a","p_yes__ia3":1}`, "our own column p_yes"},
		"text by case":    {"x.jsonl", `{"text":"a","Text":"b"}`, "our own column text"},
		"vector":          {"x.jsonl", `{"text":"a","fc1_3":1}`, "activation column"},
		"no name":         {"x.jsonl", `{"text":"a","":1}`, "column name"},
		"long name":       {"x.jsonl", `{"text":"a","` + long + `":1}`, "column name"},
		"empty":           {"x.jsonl", "\n \n", "no rows"},
		"csv empty":       {"x.csv", "", "no rows"},
		"csv no rows":     {"x.csv", "text,label\n", "no rows"},
		"csv ragged":      {"x.csv", "text,label\na,1\nb\n", "x.csv:3: bad data: not as many fields"},
		"csv long":        {"x.csv", "text,label\na,1,2\n", "x.csv:2: bad data: not as many fields"},
		"csv quote":       {"x.csv", "text\na\n\"b\n", "x.csv:3: bad data: extraneous or missing"},
		"csv bare quote":  {"x.csv", "text\na\"b\n", "x.csv:2: bad data: bare \""},
		"csv header":      {"x.csv", "statement,label\na,1\n", "x.csv:1: bad data: neither text nor input_ids (its columns: statement, label)"},
		"csv twice":       {"x.csv", "text,a,a\nx,1,2\n", `column "a" is there twice`},
		"csv reserved":    {"x.csv", "text,token\nx,1\n", "our own column token"},
		"csv not utf-8":   {"x.csv", "text\n\xff\n", "x.csv:2: bad data: not UTF-8"},
		"csv ids":         {"x.csv", "input_ids\n1 2\n", "want a list like [1, 2]"},
		"extension":       {"x.txt", "text", `unknown kind ".txt"`},
		"not parquet":     {"x.parquet", "PAR1 is not all there is to it PAR1", "x.parquet: bad data"},
		"short parquet":   {"x.parquet", "PAR1", "no Parquet file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(source(t, c.file, c.content), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v\nwant %s", err, c.want)
			}
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
				t.Errorf("%v is neither ErrFormat nor ErrEmpty", err)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.jsonl"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestLineTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 64 MB")
	}
	r := strings.NewReader("{\"text\":\"a\"}\n{\"text\":\"" + strings.Repeat("a", maxLine) + "\"}")
	if _, err := readJSONL(r, "x.jsonl", 0); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "x.jsonl:2") {
		t.Errorf("%v", err)
	}
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
		s, err := Open(source(t, "x.jsonl", `{"text":"Is {x} 5?"}`), Options{Template: name})
		if err != nil || s.Text[0] != want {
			t.Errorf("%q: %q, %v", name, s.Text, err)
		}
	}
	for _, name := range Templates() {
		if strings.Count(templates[name], slot) != 1 {
			t.Errorf("template %s does not hold the text once", name)
		}
	}
	if _, err := Open(source(t, "x.jsonl", `{"text":"a"}`), Options{Template: "gpt5"}); err == nil || !strings.Contains(err.Error(), "alpaca, chatml") {
		t.Errorf("unknown template: %v", err)
	}
	if _, err := Open(source(t, "x.jsonl", `{"input_ids":[1]}`), Options{Template: "alpaca"}); !errors.Is(err, ErrPrompt) {
		t.Errorf("template around ids: %v", err)
	}
}

// fields encodes each space-separated word as its length.
type fields struct{ special bool }

func (f *fields) Encode(text string, special bool) (ids []int32) {
	f.special = special
	for _, w := range strings.Fields(text) {
		ids = append(ids, int32(len(w)))
	}
	return ids
}

func TestTokenize(t *testing.T) {
	s := open(t, "x.jsonl", `{"text":"a bb ccc","label":1}`+"\n"+`{"input_ids":[9],"text":"kept","label":0}`)
	enc := &fields{}
	in, err := Tokenize(s, enc, TokenizeOptions{MaxTokens: 3, Vocab: 10})
	if err != nil {
		t.Fatal(err)
	}
	if !enc.special || !reflect.DeepEqual(in.IDs, [][]int32{{1, 2, 3}, {9}}) || in.Text[1] != "kept" || in.NumRows() != 2 || in.Digest != s.Digest() {
		t.Errorf("%+v", in)
	}
}

func TestTokenizeRefuses(t *testing.T) {
	opt := TokenizeOptions{MaxTokens: 3, Vocab: 10}
	for line, want := range map[string]string{
		`{"text":""}`:                      "the prompt is empty",
		`{"text":"  "}`:                    "the prompt is empty",
		`{"input_ids":[]}`:                 "the prompt is empty",
		`{"text":"a b c d"}`:               "the prompt has 4 tokens, and the limit is 3",
		`{"input_ids":[1,2,3,4]}`:          "the prompt has 4 tokens",
		`{"input_ids":[1,10]}`:             "token id 10 is not in the vocabulary of 10",
		`{"text":"abcdefghijklm"}`:         "token id 13 is not in",
		`{"text":null,"input_ids":[1,99]}`: "token id 99",
	} {
		s := open(t, "x.jsonl", `{"text":"fine"}`+"\n"+line)
		_, err := Tokenize(s, &fields{}, opt)
		if !errors.Is(err, ErrPrompt) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.jsonl:2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func fuzzSource(f *testing.F, read func(content string) (*table, error)) {
	f.Fuzz(func(t *testing.T, content string) {
		tab, err := read(content)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is not ErrFormat", err)
			}
			return
		}
		s, err := tab.finish()
		if err != nil {
			return
		}
		for _, c := range s.Columns {
			if c.length() != s.Rows {
				t.Fatalf("column %q has %d values for %d rows", c.Name, c.length(), s.Rows)
			}
		}
		if len(s.Text) != s.Rows || len(s.IDs) != s.Rows || len(s.lines) != s.Rows {
			t.Fatalf("%d rows, %d texts, %d ids, %d lines", s.Rows, len(s.Text), len(s.IDs), len(s.lines))
		}
	})
}

func FuzzJSONL(f *testing.F) {
	f.Add(someJSONL)
	f.Add(`{"text":"a","x":true}` + "\n" + `{"input_ids":[1,2],"x":false}`)
	fuzzSource(f, func(content string) (*table, error) { return readJSONL(strings.NewReader(content), "x", 0) })
}

func FuzzCSV(f *testing.F) {
	f.Add(someCSV)
	f.Add("input_ids,x,text\n\"[1]\",true,a\n,false,b\n")
	fuzzSource(f, func(content string) (*table, error) { return readCSV(strings.NewReader(content), "x", 0) })
}
