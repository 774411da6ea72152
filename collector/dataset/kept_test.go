package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"pgregory.net/rapid"

	"actfleet/shard/tap"
)

func rule(t testing.TB, s string) tap.Rule {
	t.Helper()
	r, err := tap.ParseRule(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// loadMarked is load with the tokenizer words, whose special id 0 stands in front of every text.
func loadMarked(t testing.TB, opt Options, limits Limits, paths ...string) (*Input, Counts) {
	t.Helper()
	s, err := Open(paths, opt)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	counts, err := s.Tokenize(&b, words{}, limits)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadInput(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return in, counts
}

func TestMasks(t *testing.T) {
	for content, want := range map[string][]int32{
		`{"input_ids":[5,6,7],"m":[0,1,1]}`:                                                 {1, 2},
		`{"input_ids":[5,6,7],"m":[false,true,false]}`:                                      {1},
		`{"input_ids":[5,6,7],"m":[-100,6,7]}`:                                              {1, 2},
		`{"input_ids":[5,6,7],"m":[5,6,7]}`:                                                 {0, 1, 2},
		`{"input_ids":[5,1,0],"m":[-100,1,0]}`:                                              {1, 2},
		`{"input_ids":[5,6,7],"m":[0,0,0]}`:                                                 {},
		`{"input_ids":[9,9,5,6],"attention_mask":[0,0,1,1],"m":[0,1,0,1]}`:                  {1},
		`{"input_ids":[5,6,9],"attention_mask":[1,1,0],"m":[-100,6,-100]}`:                  {1},
		`{"input_ids":[5,6,9],"attention_mask":[1,1,0],"m":[1,1,1],"text":"a b","label":1}`: {0, 1},
		`{"input_ids":[5,6,7],"m":[0,1]}`:                                                   nil, // errors
		`{"input_ids":[5,6,7],"m":[0,1,2]}`:                                                 nil,
		`{"input_ids":[5,6,7],"m":[-100,-100,8]}`:                                           nil,
		`{"input_ids":[5,6,7],"m":[0,1,0.5]}`:                                               nil,
		`{"input_ids":[5,6,7],"m":null}`:                                                    nil,
		`{"text":"a b","m":[0,1]}`:                                                          nil,
		`{"input_ids":[5,6,7],"m":7}`:                                                       nil,
	} {
		path := source(t, "x.jsonl", `{"input_ids":[5],"m":[1]}`+"\n"+content)
		in, counts, err := load(Options{Tokens: rule(t, "mask:m")}, Limits{}, path)
		if want == nil {
			if err == nil || !strings.Contains(err.Error(), "x.jsonl:2: ") || !strings.Contains(err.Error(), "m") {
				t.Errorf("%s: %v", content, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(in.Kept[1], want) || counts.NoRows != map[bool]int64{true: 1}[len(want) == 0] {
			t.Errorf("%s: kept %v, %+v, %v; want %v", content, in, counts, err, want)
		}
	}
}

func TestSpans(t *testing.T) {
	const text = `"text":"né 👍🏽x the end"` // words at 0–2, 3–6, 7–10, 11–14
	for span, want := range map[string][]int32{
		`[3,7]`:                          {2},
		`[3,8]`:                          {2, 3},
		`[2,3]`:                          {},
		`[0,14]`:                         {1, 2, 3, 4},
		`[13,14]`:                        {4},
		`[5,5]`:                          {},
		`{"start":1,"end":2,"type":"x"}`: {1},
		`[[7,9],[0,1],[8,10]]`:           {1, 3},
		`[{"start":0,"end":1},[13,14]]`:  {1, 4},
		`[]`:                             {},
		`null`:                           {},
		`"[7,10]"`:                       {3},
		`[3,15]`:                         nil, // errors
		`[-1,3]`:                         nil,
		`[4,3]`:                          nil,
		`[1,2,3]`:                        nil,
		`[[1,2],[3]]`:                    nil,
		`{"start":1}`:                    nil,
		`"x"`:                            nil,
		`true`:                           nil,
	} {
		path := source(t, "x.jsonl", `{"text":"a","s":[0,1],"n":1}`+"\n"+`{`+text+`,"s":`+span+`,"n":2}`)
		s, err := Open([]string{path}, Options{Tokens: rule(t, "span:s"), Template: "so: {text} ok"})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, err = s.Tokenize(&b, words{}, Limits{})
		if want == nil {
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), `x.jsonl:2: `) || !strings.Contains(err.Error(), `column "s"`) {
				t.Errorf("%s: %v", span, err)
			}
			continue
		}
		in, err2 := ReadInput(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for i := range want {
			want[i]++ // the word of the template
		}
		if !reflect.DeepEqual(in.Kept[1], want) || len(in.Columns) != 1 {
			t.Errorf("%s: kept %v of %v, want %v", span, in.Kept[1], in.IDs[1], want)
		}
	}
}

// TestSpansOfTables reads spans in every form that Parquet and Arrow files have them in.
func TestSpansOfTables(t *testing.T) {
	type span struct {
		Start int64 `parquet:"start"`
		End   int64 `parquet:"end"`
	}
	type maybe struct {
		Start *int32 `parquet:"start,optional"`
		End   *int32 `parquet:"end,optional"`
	}
	type record[T any] struct {
		Text string `parquet:"text"`
		S    T      `parquet:"s"`
	}
	type list[T any] struct {
		Text string `parquet:"text"`
		S    []T    `parquet:"s,list"`
	}
	two := func(n int32) *int32 { return &n }
	const a, b = "a bb ccc", "dd e"
	none, first := []int32{}, []int32{1}
	for name, c := range map[string]struct {
		path string
		want [][]int32
	}{
		"record":          {writeParquet(t, []record[span]{{a, span{2, 4}}, {b, span{0, 1}}}), [][]int32{{2}, first}},
		"optional record": {writeParquet(t, []record[maybe]{{a, maybe{two(2), two(4)}}, {b, maybe{two(0), two(4)}}}), [][]int32{{2}, {1, 2}}},
		"pair":            {writeParquet(t, []list[int64]{{a, []int64{2, 4}}, {b, nil}}), [][]int32{{2}, none}},
		"records":         {writeParquet(t, []list[span]{{a, []span{{2, 4}, {7, 8}}}, {b, nil}}), [][]int32{{2, 3}, none}},
		"pairs":           {writeParquet(t, []list[[]int32]{{a, [][]int32{{2, 4}, {7, 8}}}, {b, [][]int32{{0, 1}}}}), [][]int32{{2, 3}, first}},
		"arrow records":   {arrowFile(t, false, spanRecord(true)), [][]int32{{2, 3}, none}},
		"arrow pairs":     {arrowFile(t, true, spanRecord(false)), [][]int32{{2, 3}, none}},
	} {
		in, _ := loadMarked(t, Options{Tokens: rule(t, "span:s")}, Limits{}, c.path)
		if !reflect.DeepEqual(in.Kept, c.want) {
			t.Errorf("%s: kept %v, want %v", name, in.Kept, c.want)
		}
	}
	for name, path := range map[string]string{
		"half a record": writeParquet(t, []record[maybe]{{a, maybe{two(2), nil}}}),
		"three":         writeParquet(t, []list[[]int64]{{a, [][]int64{{1, 2, 3}}}}),
		"one":           writeParquet(t, []list[[]int64]{{a, [][]int64{{1}, {2, 3}}}}),
	} {
		if _, _, err := load(Options{Tokens: rule(t, "span:s")}, Limits{}, path); err == nil || !strings.Contains(err.Error(), "want a span") {
			t.Errorf("%s: %v", name, err)
		}
		if in, _, err := load(Options{}, Limits{}, path); err != nil || in.NumRows() != 1 {
			t.Errorf("%s, not asked for: %v", name, err)
		}
	}
}

// spanRecord is two texts with spans: two of the first, none of the second.
func spanRecord(records bool) arrow.Record {
	var of arrow.DataType = arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32)
	if records {
		of = arrow.StructOf(arrow.Field{Name: "start", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "end", Type: arrow.PrimitiveTypes.Int64})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}, {Name: "s", Type: arrow.ListOf(of)}}, nil))
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"a bb ccc", "dd e"}, nil)
	list := b.Field(1).(*array.ListBuilder)
	list.Append(true)
	for _, s := range [][2]int64{{2, 4}, {7, 8}} {
		switch v := list.ValueBuilder().(type) {
		case *array.StructBuilder:
			v.Append(true)
			v.FieldBuilder(0).(*array.Int64Builder).Append(s[0])
			v.FieldBuilder(1).(*array.Int64Builder).Append(s[1])
		case *array.FixedSizeListBuilder:
			v.Append(true)
			v.ValueBuilder().(*array.Int32Builder).AppendValues([]int32{int32(s[0]), int32(s[1])}, nil)
		}
	}
	list.Append(true)
	return b.NewRecord()
}

// saidBy renders as chatty does, and finds what a role says; a message that begins with a space loses it.
func saidBy(messages []Message, role string) (string, []Said, error) {
	var out strings.Builder
	var said []Said
	for _, m := range messages {
		words := strings.TrimPrefix(m.Content, " ")
		out.WriteString(m.Role + " ")
		if from := int32(out.Len()); m.Role == role {
			said = append(said, Said{Extent{from, from + int32(len(words))}, int32(len(m.Content) - len(words))})
		}
		out.WriteString(words + " ")
	}
	return strings.TrimSuffix(out.String(), " "), said, nil
}

func TestWhatARoleSays(t *testing.T) {
	path := source(t, "x.jsonl", `{"messages":[{"role":"system","content":"be good"},{"role":"user","content":"a"},{"role":"assistant","content":"bb cc"},{"role":"user","content":"d"}]}
{"messages":[{"role":"user","content":"a"}]}`)
	for name, want := range map[string][][]int32{"assistant": {{6, 7}, {}}, "user": {{4, 9}, {1}}, "system": {{1, 2}, {}}} {
		in, counts, err := load(Options{Chat: chatty, Said: saidBy, Tokens: rule(t, name)}, Limits{}, path)
		if err != nil || !reflect.DeepEqual(in.Kept, want) || counts.NoRows > 0 && !strings.Contains(counts.FirstNoRows, "x.jsonl:2") {
			t.Errorf("%s: %v, %+v, %v; want %v", name, in, counts, err, want)
		}
	}
	turns := source(t, "y.jsonl", `{"text":" a bb","s":[3,5]}`)
	for name, want := range map[string][]int32{"user": {1, 2}, "span:s": {2}} {
		in, _, err := load(Options{Chat: chatty, Said: saidBy, Template: ChatTemplate, Tokens: rule(t, name)}, Limits{}, turns)
		if err != nil || !reflect.DeepEqual(in.Kept[0], want) {
			t.Errorf("a turn, %s: %v, %v; want %v", name, in, err, want)
		}
	}
}

func TestOffsetsAreThoseOfTheDocument(t *testing.T) {
	path := source(t, "x.jsonl", `{"text":"a bb ccc dd","start":7,"End":"x"}`)
	in, _ := loadMarked(t, Options{Offsets: true, Context: 3, Overlap: 1, Pack: true}, Limits{Separator: []int32{0}}, path)
	wantIDs := [][]int32{{0, 1, 2}, {0, 2, 3}, {0, 3, 2}, {0, 2, 0}}
	starts := [][]int32{{0, 0, 2}, {0, 2, 5}, {0, 5, 9}, {0, 9, 0}}
	ends := [][]int32{{0, 1, 4}, {0, 4, 8}, {0, 8, 11}, {0, 11, 0}}
	if !reflect.DeepEqual(in.IDs, wantIDs) || !reflect.DeepEqual(in.Starts, starts) || !reflect.DeepEqual(in.Ends, ends) || in.Kept != nil {
		t.Errorf("%v: starts %v, ends %v, kept %v", in.IDs, in.Starts, in.Ends, in.Kept)
	}
	if in.Columns[0].Name != "data_start" || in.Columns[1].Name != "data_End" {
		t.Errorf("%+v", in.Columns)
	}
}

func TestRulesThatTheDataCannotFollow(t *testing.T) {
	text, ids := source(t, "x.jsonl", `{"text":"a","m":1}`), source(t, "y.jsonl", `{"input_ids":[1],"m":[1]}`)
	chat := source(t, "z.jsonl", `{"messages":[{"role":"user","content":"a"}],"m":[0,1]}`)
	for _, c := range []struct {
		path string
		opt  Options
		want string
	}{
		{text, Options{Tokens: rule(t, "mask:m")}, "needs a column input_ids"},
		{text, Options{Tokens: rule(t, "assistant")}, "no conversations"},
		{text, Options{Tokens: rule(t, "mask:x")}, "--tokens mask:x: no such column"},
		{text, Options{Tokens: rule(t, "span:x")}, "--tokens span:x: no such column"},
		{ids, Options{Tokens: rule(t, "span:m")}, "need a text"},
		{ids, Options{Offsets: true}, "need a text"},
		{chat, Options{Chat: chatty, Said: saidBy, Tokens: rule(t, "span:m")}, "holds conversations"},
	} {
		if _, err := Open([]string{c.path}, c.opt); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.opt.Tokens, err, c.want)
		}
	}
}

func TestRowsThatTheRuleRefuses(t *testing.T) {
	ids := func(mask string) string { return `{"input_ids":[5,6,7,8],"m":` + mask + `}` }
	for _, c := range []struct{ rule, row, want string }{
		{"mask:m", ids(`[0,2,1,0]`), "position 1 is 2"},
		{"mask:m", ids(`[-100,6,1,8]`), "position 2 is 1"},
		{"mask:m", ids(`[0,null,1,0]`), "a list with a null in it"},
		{"all", `{"input_ids":[5,null]}`, "a list with a null in it"},
		{"all", `{"input_ids":[5,6],"attention_mask":[null,1]}`, "a list with a null in it"},
		{"span:s", `{"text":"a","s":[null,1]}`, "want a span"},
		{"system", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
			"--tokens system keeps no position of any prompt; the roles of the messages are user, assistant"},
	} {
		opt := Options{Chat: chatty, Said: saidBy, Tokens: rule(t, c.rule)}
		if _, _, err := load(opt, Limits{}, source(t, "x.jsonl", c.row)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.row, err, c.want)
		}
	}
}

// Windows keep of a document what the whole of it keeps; positions ascend and lie inside.
func TestKeptPositionsOfWindows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var lines strings.Builder
		var all []string
		for range rapid.IntRange(1, 5).Draw(rt, "documents") {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "bb", "é", "👍🏽"}), 1, 30).Draw(rt, "text"), " ")
			n := len([]rune(text))
			from := rapid.IntRange(0, n).Draw(rt, "from")
			to := rapid.IntRange(from, n).Draw(rt, "to")
			fmt.Fprintf(&lines, `{"text":%q,"s":[%d,%d]}`+"\n", text, from, to)
			all = append(all, text)
		}
		path := source(t, "x.jsonl", lines.String())
		name := rapid.SampledFrom([]string{"span:s", "not-special"}).Draw(rt, "rule")
		opt := Options{Tokens: rule(t, name), Offsets: true}
		whole, _ := loadMarked(t, opt, Limits{}, path)
		opt.Context = rapid.IntRange(3, 9).Draw(rt, "context")
		opt.Overlap = rapid.IntRange(0, 1).Draw(rt, "overlap")
		opt.Pack = rapid.Bool().Draw(rt, "pack")
		in, counts := loadMarked(t, opt, Limits{Separator: []int32{0}}, path)
		var silent int64
		for i, ids := range in.IDs {
			doc, at := in.Columns[0].Values.([]int64)[i], in.Columns[1].Values.([]int64)[i]
			keeps := map[int32]bool{}
			for _, pos := range whole.Kept[doc] {
				keeps[pos] = true
			}
			var want []int32
			for pos := 1; pos < len(ids); pos++ {
				if keeps[int32(at)+int32(pos)] {
					want = append(want, int32(pos))
				}
			}
			if len(want) == 0 {
				silent++
			}
			if fmt.Sprint(in.Kept[i]) != fmt.Sprint(want) {
				rt.Fatalf("%s: window %d of %q at %d keeps %v, want %v", name, i, all[doc], at, in.Kept[i], want)
			}
		}
		if counts.NoRows != silent {
			rt.Fatalf("%d prompts without rows, counted %d", silent, counts.NoRows)
		}
	})
}

func TestInputRefusesLists(t *testing.T) {
	good := func() *Input {
		return &Input{Digest: "d", IDs: [][]int32{{1, 2, 3}, {4}}, Text: []string{"", ""}, Kept: [][]int32{{0, 2}, {}},
			Starts: [][]int32{{0, 0, 1}, {0}}, Ends: [][]int32{{0, 1, 1}, {9}}}
	}
	b := encode(t, good())
	in, err := ReadInput(bytes.NewReader(b), int64(len(b)))
	if want := good(); err != nil || !reflect.DeepEqual(in, want) {
		t.Fatalf("%+v came back as %+v, %v", want, in, err)
	}
	f, err := OpenInput(bytes.NewReader(b), int64(len(b)))
	if err != nil || !f.Head().Kept || !f.Head().Offsets || !reflect.DeepEqual(f.KeptCounts(), []int32{2, 0}) || !reflect.DeepEqual(in.KeptCounts(), f.KeptCounts()) {
		t.Errorf("%+v, %v", f, err)
	}
	for name, spoil := range map[string]func(in *Input){
		"position beyond": func(in *Input) { in.Kept[1] = []int32{1} },
		"twice":           func(in *Input) { in.Kept[0] = []int32{1, 1} },
		"descending":      func(in *Input) { in.Kept[0] = []int32{2, 0} },
		"negative":        func(in *Input) { in.Kept[0] = []int32{-1} },
		"few kept":        func(in *Input) { in.Kept = in.Kept[:1] },
		"few offsets":     func(in *Input) { in.Starts[0] = in.Starts[0][:2] },
		"backwards":       func(in *Input) { in.Starts[1][0] = 10 },
		"no ends":         func(in *Input) { in.Ends = nil },
	} {
		in := good()
		spoil(in)
		if err := WriteInput(&bytes.Buffer{}, in); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
