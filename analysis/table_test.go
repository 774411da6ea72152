package analysis

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"
	"pgregory.net/rapid"
)

func rendered(t testing.TB, table *Table, width int) string {
	t.Helper()
	var b strings.Builder
	must(t, table.Render(&b, width))
	return b.String()
}

func TestRender(t *testing.T) {
	table := &Table{
		Columns: []string{"site", "layer", "mean", "p", "when", "vector", "text"},
		Rows: [][]any{
			{"fc1", int32(2), 1.5, 1e-9, time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC), []any{float32(1), float32(2.5), float32(3), float32(4), float32(5)}, "two\nlines\x1b[31m"},
			{"out_proj", int32(10), 1234.56789, 0.5, time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), nil, "日本"},
			{nil, nil, math.NaN(), nil, nil, []any{}, strings.Repeat("x", 200)},
		},
	}
	want := `site      layer     mean      p  when                 vector                      text
────────  ─────  ───────  ─────  ───────────────────  ──────────────────────────  ────────────────────────────────────────────────────────────
fc1           2     1.50  1e-09  2025-01-02           [1, 2.5, 3, 4, … 5 values]  two⏎lines·[31m
out_proj     10  1234.57    0.5  2025-01-02 03:04:05                              日本
                     NaN                              []                          ` + strings.Repeat("x", 59) + `…
3 rows
`
	if got := rendered(t, table, 0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNumbersStandRight(t *testing.T) {
	table := &Table{Columns: []string{"n", "x"}, Rows: [][]any{{int64(5), 0.25}, {int64(12345), 10.0}, {big.NewInt(7), 100.5}}}
	want := "    n       x\n─────  ──────\n    5    0.25\n12345   10.00\n    7  100.50\n3 rows\n"
	if got := rendered(t, table, 0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRenderKeepsWithinWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 40).Draw(t, "columns")
		width := rapid.IntRange(40, 200).Draw(t, "width")
		table := &Table{Rows: make([][]any, rapid.IntRange(0, 3).Draw(t, "rows"))}
		for i := range table.Rows {
			table.Rows[i] = make([]any, columns)
		}
		for c := range columns {
			table.Columns = append(table.Columns, rapid.StringN(1, 12, -1).Draw(t, "name"))
			for _, row := range table.Rows {
				if c%2 == 0 {
					row[c] = rapid.Float64().Draw(t, "number")
				} else {
					row[c] = rapid.StringN(0, 80, -1).Draw(t, "text")
				}
			}
		}
		var b strings.Builder
		if err := table.Render(&b, width); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 3+len(table.Rows) {
			t.Fatalf("%d lines for %d rows", len(lines), len(table.Rows))
		}
		for _, line := range lines[:len(lines)-1] {
			if w := lipgloss.Width(line); w > width && columns > 1 {
				t.Fatalf("line of %d columns in %d: %q", w, width, line)
			}
		}
	})
}

func TestMiddleColumnsGiveWay(t *testing.T) {
	table := &Table{Rows: [][]any{{}}}
	for _, name := range strings.Fields("first a b c d e f g h last") {
		table.Columns = append(table.Columns, name)
		table.Rows[0] = append(table.Rows[0], int64(1234567))
	}
	got := rendered(t, table, 44)
	head, _, _ := strings.Cut(got, "\n")
	if !strings.Contains(head, "first") || !strings.Contains(head, "last") || !strings.Contains(head, "…") || !strings.Contains(got, "4 of 10 columns") {
		t.Errorf("got\n%s", got)
	}
}

func TestManyRowsShowBothEnds(t *testing.T) {
	table := &Table{Columns: []string{"n"}}
	for i := range 1000 {
		table.Rows = append(table.Rows, []any{int64(i)})
	}
	got := rendered(t, table, 80)
	if !strings.Contains(got, " 99\n⋮ 800 rows\n900\n") || !strings.HasSuffix(got, "999\n1000 rows\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestJSONAndCSV(t *testing.T) {
	db := openRun(t, fixture{units: 1, write: 1}, "run")
	table := answer(t, db, `select 1::hugeint a, 1.50::decimal(5,2) b, interval 1 day c, {'x': 1, 'y': [1.5::float]} d, map{'x': 2} e, 'nan'::double f, true g, null h,
		date '2020-01-02' i, 'q"uote, comma' as "odd ""name""", 18446744073709551615::ubigint j, [[1], null] k, 0.1::float l, 'ab'::blob m`)
	var j, c strings.Builder
	must(t, table.JSON(&j))
	must(t, table.CSV(&c))
	want := `[{"a":1,"b":1.5,"c":"0 months 1 days 0s","d":{"x":1,"y":[1.5]},"e":{"x":2},"f":null,"g":true,"h":null,"i":"2020-01-02T00:00:00Z","odd \"name\"":"q\"uote, comma","j":18446744073709551615,"k":[[1],null],"l":0.1,"m":"6162"}]`
	if got := strings.ReplaceAll(j.String(), "\n", ""); got != want {
		t.Errorf("JSON\n%s\nwant\n%s", got, want)
	}
	if !json.Valid([]byte(j.String())) {
		t.Error("not JSON")
	}
	wantCSV := `a,b,c,d,e,f,g,h,i,"odd ""name""",j,k,l,m
1,1.5,0 months 1 days 0s,"{""x"":1,""y"":[1.5]}","{""x"":2}",NaN,true,,2020-01-02T00:00:00Z,"q""uote, comma",18446744073709551615,"[[1],null]",0.1,6162
`
	if c.String() != wantCSV {
		t.Errorf("CSV\n%s\nwant\n%s", c.String(), wantCSV)
	}
	j.Reset()
	must(t, (&Table{Columns: []string{"a"}}).JSON(&j))
	if !json.Valid([]byte(j.String())) {
		t.Errorf("no rows: %q", j.String())
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               {""},
		"select 1":                       {"select 1"},
		"select 1;":                      {"select 1", ""},
		" a ; b ;c":                      {"a", "b", "c"},
		"select ';' ; x":                 {"select ';'", " x"},
		"select 'it''s;' ; x":            {"select 'it''s;'", " x"},
		`select "a;b" ;`:                 {`select "a;b"`, ""},
		"select 1 -- no; end\n;":         {"select 1 -- no; end", ""},
		"/* a;b */ select 1; -- done":    {"/* a;b */ select 1", ""},
		"-- only a comment;":             {""},
		"select $$a;b$$; select $t$;$t$": {"select $$a;b$$", " select $t$;$t$"},
		"select $1; x":                   {"select $1", " x"},
		"; ;;":                           {""},
		"select 'open; ":                 {"select 'open; "},
		"/* open; ":                      {"/* open; "},
		"select 3 - 1 / 2; x":            {"select 3 - 1 / 2", " x"},
	} {
		statements, rest := split(text)
		if got := append(statements, rest); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzSplit checks that nothing but separators is lost and nothing panics.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"select 1; select 2", "';--", "$a$;$a$;", "/*;*/;", "\"", "$", "日本;'", "-- x\n;y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		statements, rest := split(text)
		at := 0
		for _, s := range append(statements, rest) {
			i := strings.Index(text[at:], s)
			if i < 0 {
				t.Fatalf("%q: %q is not in the text after %d", text, s, at)
			}
			at += i + len(s)
		}
		again, more := split(strings.Join(statements, "\n;\n") + "\n;\n")
		if len(again) != len(statements) || strings.TrimSpace(more) != "" && len(statements) > 0 {
			t.Fatalf("%q: %d statements, joined again %d and %q", text, len(statements), len(again), more)
		}
	})
}
