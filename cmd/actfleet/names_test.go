package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/analysis"
	"actfleet/analysis/report"
	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
	"actfleet/trainer/stream"
)

// fileName is any name that a file system takes.
func fileName() *rapid.Generator[string] {
	letters := rapid.OneOf(rapid.SampledFrom([]rune(",\"'\n *?[]{}%#;:=-.\\$&|<>()~`\t日")), rapid.Rune())
	return rapid.StringOfN(letters, 1, 40, 200).Filter(func(s string) bool {
		return !strings.ContainsAny(s, "/\x00") && s != "." && s != ".."
	})
}

// A path that exists is one path, whatever its name, alone and in a list.
func TestListsOfPathsTakeAnyName(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, name := range rapid.SliceOfNDistinct(fileName(), 1, 4, rapid.ID).Draw(t, "names") {
			path := filepath.Join(dir, name)
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			if got := splitPaths(path); !slices.Equal(got, []string{path}) {
				t.Fatalf("%q becomes %q", path, got)
			}
			want = append(want, path)
		}
		var flag pathList
		if err := flag.Set(strings.Join(want, ",")); err != nil || !slices.Equal(flag, want) {
			t.Fatalf("%q becomes %q, %v", want, flag, err)
		}
	})
	if got := splitPaths("nowhere/a,s3://bucket/b,c"); !slices.Equal(got, []string{"nowhere/a", "s3://bucket/b", "c"}) {
		t.Errorf("paths that are not there: %q", got)
	}
}

// Runs of any name can be asked, shown and trained on.
func TestRunsOfAnyName(t *testing.T) {
	dir, names := t.TempDir(), []string{"a,b", `say "x"`, "two\nlines", " ", "-dash", "*", "per%20cent", "it's", `back\slash`}
	for seed := range 40 {
		if name := fileName().Example(seed); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var runs []analysis.Run
	var page report.Report
	o := trainOptions{out: t.TempDir()}
	for _, name := range names {
		path := filepath.Join(dir, name)
		st, err := local.New(path)
		noError(t, err)
		shardtest.Run{Rows: []shardtest.Row{{Tokens: 1}, {Tokens: 2}, {Tokens: 3}}, Tokens: "last", Units: 2, Vectors: []shard.Vector{{Name: "fc2_0", Width: 2, Dtype: shard.F32}}}.Write(t, st)
		runs = append(runs, analysis.Run{Name: path})
		noError(t, page.AddRun(t.Context(), st))
		noError(t, (*pathList)(&o.from).Set(path))
	}
	noError(t, report.Write(new(strings.Builder), page))
	sources, err := o.sources(t.Context())
	noError(t, err)
	s, err := stream.Open(t.Context(), sources, stream.Config{Column: "fc2_0", Batch: 3 * len(names), ShuffleWindow: 2, Epochs: 1})
	noError(t, err)
	b, err := s.Next(t.Context())
	noError(t, err)
	if b.N != 3*len(names) {
		t.Errorf("%d rows of %d runs", b.N, len(names))
	}
	noError(t, s.Close())
	asked(t, runs, names)
}

// asked opens runs for SQL, which must know each by its name.
func asked(t *testing.T, runs []analysis.Run, names []string) {
	t.Helper()
	db, err := analysis.Open(t.Context(), runs, analysis.Options{})
	noError(t, err)
	defer func() { noError(t, db.Close()) }()
	var text strings.Builder
	noError(t, db.Answer(t.Context(), &text, analysis.Request{SQL: "select run, count(*) as n from acts group by run", Form: analysis.CSV}))
	rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	noError(t, err)
	got := map[string]string{}
	for _, row := range rows[1:] {
		got[row[0]] = row[1]
	}
	for _, name := range names {
		if n := got[strings.ReplaceAll(name, "\r\n", "\n")]; n != "3" {
			t.Errorf("%q has %q rows", name, n)
		}
	}
}

// The program itself takes such names, and a question that names no run's file.
func TestProgramTakesAnyName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a,b \"c\"\n日")
	st, err := local.New(path)
	noError(t, err)
	shardtest.Run{Rows: []shardtest.Row{{Tokens: 1}, {Tokens: 2}}, Tokens: "last", Units: 1, Vectors: []shard.Vector{{Name: "fc2_0", Width: 2, Dtype: shard.F32}}}.Write(t, st)
	if got := wantOK(t, "sql", path, "select count(*) as n from acts", "--csv", "--memory", "500MB", "--timeout", "1m"); got != "n\n2\n" {
		t.Errorf("%q", got)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	wantOK(t, "report", path, "--out", page)
	wantRefusal(t, exitError, []string{"--force"}, "report", path, "--out", page)
	wantOK(t, "report", path, "--out", page, "--force")
	wantRefusal(t, exitError, []string{"shards"}, "report", path, "--force", "--out", filepath.Join(path, "acts", "unit-000000.parquet"))
	wantRefusal(t, exitUsage, []string{"--memory", "much"}, "sql", path, "select 1", "--memory", "much")
	wantRefusal(t, exitUsage, []string{"--ask nosuch", "sql --help"}, "sql", path, "--ask", "nosuch")
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
