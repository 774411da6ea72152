package analysis

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peterh/liner"

	"actfleet/shard"
)

func typed(t testing.TB, db *DB, input string) string {
	t.Helper()
	var out strings.Builder
	must(t, Prompt(context.Background(), db, strings.NewReader(input), &out, ""))
	return out.String()
}

func TestPrompt(t *testing.T) {
	db := openRun(t, whole(), "run")
	for input, want := range map[string]string{
		"select count(*) as n\nfrom acts\n;\n":       "   n\n────\n1800\n1 row\n",
		"select 1 as a; select 2 as b":               "a\n─\n1\n1 row\nb\n─\n2\n1 row\n",
		"select 'a;\nb' as t;\n":                     "t   \n────\na;⏎b\n1 row\n",
		"selec 1;\nselect 3 as c;\n":                 "Parser Error: syntax error at or near \"selec\"\nc\n─\n3\n1 row\n",
		".nope\n":                                    "no command .nope; .help lists them\n",
		".quit\nselect 1;\n":                         "",
		"\\q\nselect 1;\n":                           "",
		"create temp table x as select 1;\nfrom x\n": "Count\n─────\n1\n1 row\n1\n─\n1\n1 row\n",
		"-- nothing\n\n   \n":                        "",
		"copy acts to 'x.csv';\n":                    "Permission Error: Cannot access file \"x.csv\" - queries read the run's own files and write none; to get rows out use the command's output formats\n",
	} {
		if got := typed(t, db, input); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%q: got\n%s\nwant\n%s", input, got, want)
		}
	}
	for input, part := range map[string]string{".tables": "codes_lr_fc1", ".schema acts": "FLOAT[]", ".schema": "sha256", ".ask": "The fleet: units", ".ask fleet": "node-2", ".help": ".quit",
		"help": ".quit", "?": ".quit", `\d`: "codes_lr_fc1", `\d acts`: "FLOAT[]"} {
		if got := typed(t, db, input+"\n"); !strings.Contains(got, part) {
			t.Errorf("%s: %q does not contain %q", input, got, part)
		}
	}
}

func TestPromptEndsWithContext(t *testing.T) {
	db := openRun(t, fixture{units: 1, write: 1}, "run")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var out strings.Builder
	err := Prompt(ctx, db, strings.NewReader("select count(*) from range(1000000000000);\nselect 1;\n"), &out, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("prompt ended with %v after %q", err, out.String())
	}
}

func TestQuestions(t *testing.T) {
	f := whole()
	f.ids = []string{"vq-a", "vq-b"}
	db := openRun(t, f, "run")
	want := map[string]string{
		"code_usage": "coder,id,rows,used,entropy,perplexity,most_common,err,alarm\nvq-a,code_0,1800,4,2,4,0.25,0.5,\n" +
			"vq-b,code_1,1800,1,0,1,1,0.5,nearly all rows have one code\n",
		"code_overlap": "a,b,id,rows,shared_bits,overlap,alarm\nvq-a,vq-b,code_0,1800,2,1,one says what the other says\n",
		"fleet": "node,host,starts,won,lost,dropped,errors,rows,bytes,busy_seconds,rows_per_second,left_orderly\n" +
			"node-1,gpu00,1,2,0,0,0,1200,2000,60,20,true\nnode-2,gpu01,1,1,0,0,0,600,1000,30,20,false\n",
		"mean_norm_by_layer":   "site,layer,variant,rows,mean_norm,sd,largest\nfc1,0,,1800,7.5,2.500694\nresid,10,,1800,13,0,13\n",
		"probe_score_by_label": "probe,label,rows,mean,p10,median,p90\nlr-fc1,0,900,0.25,0.25,0.25,0.25\nlr-fc1,1,900,0.75,0.75,0.75,0.75\n",
		"rows_per_group":       "group,labels,prompts,rows,shortest,longest\ngroup 0,2,2,2,5,6\n",
	}
	for _, q := range Questions() {
		if q.Title == "" || strings.Contains(q.Title, "select") {
			t.Errorf("%s has the title %q", q.Name, q.Title)
		}
		table, err := db.Ask(context.Background(), q.Name)
		must(t, err)
		var b strings.Builder
		must(t, table.CSV(&b))
		lines := strings.Split(want[q.Name], "\n")
		for _, line := range lines {
			if !strings.Contains(b.String(), line) {
				t.Errorf("%s: no line %q in\n%.400s", q.Name, line, b.String())
			}
		}
	}
	if len(Questions()) != len(want) {
		t.Errorf("%d questions, %d tested", len(Questions()), len(want))
	}
}

func TestScoresOfSplitsStandApart(t *testing.T) {
	f := fixture{plan: true, units: 1, write: 1, probe: "p", extra: []shard.Scalar{{Name: "split", Type: shard.Bool}}}
	table, err := openRun(t, f, "run").Ask(context.Background(), "probe_score_by_label")
	must(t, err)
	if len(table.Rows) != 4 || table.Columns[1] != "split" {
		t.Errorf("columns %q, %d rows", table.Columns, len(table.Rows))
	}
}

func TestQuestionsWithoutAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f := fixture{units: 1, write: 1}
	f.build(t, dir)
	db := openDirs(t, dir)
	_, err := db.Ask(context.Background(), "probe_score_by_label")
	if !errors.Is(err, ErrNoAnswer) || err.Error() != "question probe_score_by_label: the run cannot answer this: there are no codes with a score: run encode with a probe first" {
		t.Errorf("%v", err)
	}
	if _, err := db.Ask(context.Background(), "nope"); err == nil || !strings.Contains(err.Error(), "there are code_overlap, code_usage, fleet, mean_norm_by_layer") {
		t.Errorf("%v", err)
	}
	table, err := db.Ask(context.Background(), "fleet")
	if err != nil || len(table.Rows) != 0 {
		t.Errorf("a run without logs: %v, %v", table, err)
	}
}

func TestHistoryIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	l := &terminalLines{state: liner.NewLiner(), history: path}
	l.remember("select 1;")
	must(t, l.close())
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if string(data) != "select 1;\n" {
		t.Errorf("history %q", data)
	}
}
