package dataset

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var nan = math.NaN()

func setCores(t *testing.T, n int) {
	t.Helper()
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// windows reads documents with a special id 0 in front, limited to so many tokens.
func windows(opt Options, limits Limits, path string) (*Input, Counts, error) {
	s, err := Open([]string{path}, opt)
	if err != nil {
		return nil, Counts{}, err
	}
	var b bytes.Buffer
	counts, err := s.Tokenize(&b, words{}, limits)
	if err != nil {
		return nil, counts, err
	}
	in, err := ReadInput(bytes.NewReader(b.Bytes()), int64(b.Len()))
	return in, counts, err
}

const threeDocuments = `{"text":"a bb ccc dddd eeeee","n":1}
{"text":"f","n":2}
{"text":"gg hhh","n":3}
`

func TestLongDocuments(t *testing.T) {
	path := source(t, "x.jsonl", threeDocuments)
	for name, c := range map[string]struct {
		opt  Options
		want [][]int32
		text []string
		doc  []int64
		pos  []int64
	}{
		"skip":    {Options{Long: LongSkip}, [][]int32{{0, 1}, {0, 2, 3}}, []string{"f", "gg hhh"}, nil, nil},
		"cut":     {Options{Long: LongCut}, [][]int32{{0, 1, 2}, {0, 1}, {0, 2, 3}}, []string{"x xx", "f", "gg hhh"}, nil, nil},
		"window":  {Options{Long: LongWindow}, [][]int32{{0, 1, 2}, {0, 3, 4}, {0, 5}, {0, 1}, {0, 2, 3}}, []string{"x xx", "xxx xxxx", "xxxxx", "f", "gg hhh"}, []int64{0, 0, 0, 1, 2}, []int64{0, 2, 4, 0, 0}},
		"context": {Options{Context: 3}, [][]int32{{0, 1, 2}, {0, 3, 4}, {0, 5}, {0, 1}, {0, 2, 3}}, []string{"x xx", "xxx xxxx", "xxxxx", "f", "gg hhh"}, []int64{0, 0, 0, 1, 2}, []int64{0, 2, 4, 0, 0}},
		"overlap": {Options{Long: LongWindow, Overlap: 1}, [][]int32{{0, 1, 2}, {0, 2, 3}, {0, 3, 4}, {0, 4, 5}, {0, 1}, {0, 2, 3}}, []string{"x xx", "xx xxx", "xxx xxxx", "xxxx xxxxx", "f", "gg hhh"}, []int64{0, 0, 0, 0, 1, 2}, []int64{0, 1, 2, 3, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			in, counts, err := windows(c.opt, Limits{MaxTokens: 3}, path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(in.IDs, c.want) || !reflect.DeepEqual(in.Text, c.text) || counts.Long != 1 || counts.Longest != 6 {
				t.Errorf("%v %q %+v", in.IDs, in.Text, counts)
			}
			if c.doc == nil {
				return
			}
			wantColumns(t, in.Columns[1:], []Column{{"doc", Int64, c.doc}, {"doc_pos", Int64, c.pos}})
		})
	}
	_, _, err := windows(Options{}, Limits{MaxTokens: 2}, path)
	const want = "x.jsonl:1: bad prompt: the prompt has 6 tokens, and the limit is 2; of 3 documents 2 are longer, the longest has 6 tokens: choose --long skip, cut or window, or --context N"
	if !errors.Is(err, ErrPrompt) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if _, _, err := windows(Options{Context: 3}, Limits{MaxTokens: 2}, path); !errors.Is(err, ErrOption) {
		t.Errorf("more context than the model has: %v", err)
	}
	if _, _, err := windows(Options{Context: 3, Overlap: 2}, Limits{}, path); !errors.Is(err, ErrOption) {
		t.Errorf("no room beside the overlap: %v", err)
	}
}

func TestPackedDocuments(t *testing.T) {
	in, counts, err := windows(Options{Context: 6, Pack: true}, Limits{Separator: []int32{9}}, source(t, "x.jsonl", threeDocuments))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in.IDs, [][]int32{{0, 1, 2, 3, 4, 5}, {0, 1, 9}, {0, 2, 3, 9}}) || counts.Windows != 3 || counts.Tokens != 13 {
		t.Errorf("%v %+v", in.IDs, counts)
	}
	in, _, err = windows(Options{Context: 7, Pack: true}, Limits{Separator: []int32{9}}, source(t, "x.jsonl", threeDocuments))
	if err != nil {
		t.Fatal(err)
	}
	wantColumns(t, in.Columns, []Column{{"n", Int64, []int64{1, 2, 3}}, {"doc", Int64, []int64{0, 1, 2}}, {"doc_pos", Int64, []int64{0, 0, 0}},
		{"window", Int64, []int64{0, 1, 1}}, {"window_pos", Int64, []int64{0, 0, 3}}})
}

// TestWindowsHoldTheDocument puts windows together again, whatever their size and overlap.
func TestWindowsHoldTheDocument(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		context := rapid.IntRange(2, 12).Draw(rt, "context")
		opt := Options{Context: context, Overlap: rapid.IntRange(0, context-2).Draw(rt, "overlap"), Pack: rapid.Bool().Draw(rt, "pack")}
		docs := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 6).Draw(rt, "documents")
		var content strings.Builder
		for _, n := range docs {
			content.WriteString(`{"text":"` + strings.Repeat("a bb ", n) + "\"}\n")
		}
		in, counts, err := windows(opt, Limits{}, source(t, "x.jsonl", content.String()))
		if errors.Is(err, ErrEmpty) {
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		whole := make([][]int32, len(docs))
		doc, pos := in.Columns[0].Values.([]int64), in.Columns[1].Values.([]int64)
		for i, ids := range in.IDs {
			if len(ids) > context || ids[0] != 0 {
				rt.Fatalf("window %v of context %d", ids, context)
			}
			d := whole[doc[i]]
			if int(pos[i]) > len(d) {
				rt.Fatalf("window %d of document %d begins at %d, and %d tokens came before", i, doc[i], pos[i], len(d))
			}
			if again := d[pos[i]:]; !reflect.DeepEqual(again, append([]int32(nil), ids[1:1+len(again)]...)) && len(again) > 0 {
				rt.Fatalf("the overlap %v is not %v", ids[1:], again)
			}
			whole[doc[i]] = append(d[:pos[i]], ids[1:]...)
		}
		for i, n := range docs {
			if len(whole[i]) != 2*n {
				rt.Fatalf("document %d of %d tokens has %d in its windows", i, 2*n, len(whole[i]))
			}
		}
		if opt.Pack {
			wantPacked(rt, in, context, counts)
		}
	})
}

// wantPacked checks that the prompts of a window lie in it one after another and none reaches over its end, and that
// each window was begun because its first prompt had no room in the one being filled.
func wantPacked(rt *rapid.T, in *Input, context int, counts Counts) {
	window, at := in.Columns[2].Values.([]int64), in.Columns[3].Values.([]int64)
	used := make([]int, counts.Windows)
	filling := context // tokens in the window being filled; at first there is none
	for i, ids := range in.IDs {
		w := window[i]
		if int(at[i]) != used[w] {
			rt.Fatalf("prompt %d begins at %d of window %d, want %d", i, at[i], w, used[w])
		}
		if at[i] == 0 && len(ids) < context && filling+len(ids) <= context {
			rt.Fatalf("prompt %d of %d tokens begins window %d, and the one being filled has %d of %d", i, len(ids), w, filling, context)
		}
		if used[w] += len(ids); used[w] > context {
			rt.Fatalf("window %d has %d tokens of %d", w, used[w], context)
		}
		if len(ids) < context {
			filling = used[w]
		}
	}
	if slices.Contains(used, 0) {
		rt.Fatalf("an empty window: %v", used)
	}
}

func TestDoubleBOSIsCounted(t *testing.T) {
	path := source(t, "x.jsonl", `{"text":"a b"}`+"\n"+`{"text":"<s> b"}`)
	s, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	counts, err := s.Tokenize(&bytes.Buffer{}, marked{}, Limits{})
	if err != nil || counts.DoubleBOS != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
}

// marked is words, where <s> is the special id itself.
type marked struct{ words }

func (m marked) Encode(text string, special bool) []int32 {
	ids := m.words.Encode(text, special)
	for i, w := range strings.Fields(text) {
		if w == "<s>" {
			ids[len(ids)-len(strings.Fields(text))+i] = 0
		}
	}
	return ids
}

// Whether a window fits is known before any data are read.
func TestFit(t *testing.T) {
	for _, c := range []struct {
		context, most int
		fits          bool
	}{{0, 10, true}, {10, 10, true}, {11, 10, false}, {11, 0, true}} {
		err := Options{Context: c.context}.Fit(Limits{MaxTokens: c.most})
		if (err == nil) != c.fits || err != nil && (!errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "--context 11: the limit is 10")) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
