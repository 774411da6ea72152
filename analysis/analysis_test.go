package analysis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/tap"
)

// one is the only value of the only row.
func one(t testing.TB, db *DB, text string) string {
	t.Helper()
	table := answer(t, db, text)
	if len(table.Rows) != 1 || len(table.Columns) != 1 {
		t.Fatalf("%s: %d rows of %d columns, want one value", text, len(table.Rows), len(table.Columns))
	}
	return exact(table.Rows[0][0])
}

func expect(t testing.TB, db *DB, text, want string) {
	t.Helper()
	if got := one(t, db, text); got != want {
		t.Errorf("%s: %s, want %s", text, got, want)
	}
}

func TestViews(t *testing.T) {
	db := openRun(t, whole(), "night-1")
	if len(db.Notes) != 0 {
		t.Errorf("notes on a whole run: %q", db.Notes)
	}
	for text, want := range map[string]string{
		"select count(*) from acts":                                                                 "1800",
		"select count(distinct row) from acts":                                                      "1800",
		"select min(row)::varchar || '-' || max(row) from acts where unit = 1":                      "600-1199",
		"select string_agg(distinct l2(fc1_0)::varchar, ' ' order by l2(fc1_0)::varchar) from acts": "10.0 5.0",
		"select avg(l2(resid_10)) from acts":                                                        "13",
		"select dot(fc1_0, fc1_0) from acts where row = 1":                                          "100",
		"select cos(fc1_0, [6.0, 8.0]) from acts where row = 1":                                     "1",
		"select cos(0.0)": "1",
		"select array_length(resid_10) from acts limit 1":                                                                                           "3",
		"select count(*) from codes_lr_fc1":                                                                                                         "1800",
		"select count(*) from codes_lr_fc1 c join acts a using (row, pos) where c.unit = a.unit":                                                    "1800",
		"select count(*) from units where outcome = 'committed' and sha256 is not null and rows = 600":                                              "3",
		"select string_agg(node || ' ' || host, ', ' order by unit) from units":                                                                     "node-1 gpu00, node-2 gpu01, node-1 gpu00",
		"select started::varchar from units where unit = 2":                                                                                         "2025-11-03 22:00:30",
		"select first_row::varchar || ' ' || end_row from units where unit = 2":                                                                     "1200 1800",
		"select value from plan where key = 'model.name'":                                                                                           "tiny",
		"select value from plan where key = 'data.name'":                                                                                            "truth's.jsonl",
		"select count(*) from plan where key = 'id' and length(value) = 64":                                                                         "1",
		"select string_agg(name || ' ' || width || dtype, ', ' order by name) from vectors":                                                         "fc1_0 2f16, fc1_0__ia3 2f16, resid_10 3f32",
		"select site || ' ' || layer || ' ' || variant from vectors where name = 'fc1_0__ia3'":                                                      "fc1 0 ia3",
		"select count(*) from log where event = 'commit'":                                                                                           "3",
		"create temp table t as select row from acts where label = 1; select count(*) from t":                                                       "900",
		"select count(*) from acts where diff('fc1_0', 'ia3')[2] = fc1_0__ia3[2] - fc1_0[2] and mult('fc1_0', 'ia3')[1] = fc1_0__ia3[1] * fc1_0[1]": "1800",
		"select count(*) from (select * from acts limit 0)":                                                                                         "0",
		"select count(*) from (pivot acts on label in (0, 1) using count(*) group by unit)":                                                         "3",
		"explain analyze select 1; select 7":                                                                                                        "7",
		"select strftime(max(time), '%H:%M') from log -- comment; with a semicolon":                                                                 "22:01",
	} {
		expect(t, db, text, want)
	}
}

// A vector that is stored once for two sites has both names in SQL, with the adapter's too, and is listed once.
func TestBothNamesOfASite(t *testing.T) {
	f := whole()
	f.same = map[tap.Site]tap.Site{tap.Act: tap.FC1}
	db := openRun(t, f, "night-1")
	for text, want := range map[string]string{
		"select count(*) from acts where l2(act_0) = l2(fc1_0) and act_0__ia3 = fc1_0__ia3":   "1800",
		"select string_agg(name, ' ' order by name) from vectors":                             "fc1_0 fc1_0__ia3 resid_10",
		"select value from plan where key = 'same.act'":                                       "fc1",
		"select count(*) from (describe acts) where column_name in ('act_0', 'resid_mid_10')": "1",
	} {
		expect(t, db, text, want)
	}
	if slices.ContainsFunc(db.vectors, func(v vector) bool { return v.Site == "act" }) {
		t.Error("questions are asked of the same vectors twice")
	}
}

func TestNamesOfRuns(t *testing.T) {
	f := fixture{plan: true, units: 1, write: 1, probe: "p"}
	for _, name := range []string{"it's", `say "x"`, "a*b", "a?b", "[ab]", "label=3", "with space", "per%cent#", "日本", `back\slash`, "{a,b}", "; drop table acts;--", "-dash"} {
		db := openRun(t, f, name)
		expect(t, db, "select count(*) from acts", "600")
		expect(t, db, "select count(*) from codes_p", "600")
		expect(t, db, "select run from units", name)
		if len(db.Notes) != 0 {
			t.Errorf("%s: %q", name, db.Notes)
		}
	}
}

func TestCoderNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f := fixture{plan: true, units: 1, write: 1}
	f.build(t, dir)
	for _, coder := range []string{"sae.1", "sae-1", "it's*", ".hidden"} {
		must(t, os.MkdirAll(filepath.Join(dir, "codes", coder), 0o755))
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(run.UnitKey(0))))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "codes", coder, "unit-000000.parquet"), data, 0o644))
	}
	must(t, os.MkdirAll(filepath.Join(dir, "codes", "broken"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "codes", "broken", "unit-000000.parquet"), []byte("PAR1 not really PAR1"), 0o644))
	db := openDirs(t, dir)
	expect(t, db, "select string_agg(table_name, ' ' order by table_name) from information_schema.tables where table_name like 'codes%'", "codes_it_s_ codes_sae_1 codes_sae_1_2")
	if len(db.Notes) != 1 || !strings.Contains(db.Notes[0], `codes of "broken" are left out`) || strings.Contains(db.Notes[0], "\n") {
		t.Errorf("notes %q", db.Notes)
	}
}

func TestSeveralRuns(t *testing.T) {
	base := t.TempDir()
	a, b := filepath.Join(base, "a", "run"), filepath.Join(base, "b", "run")
	whole().build(t, a)
	other := fixture{plan: true, units: 1, write: 1, probe: "lr-fc1", extra: []shard.Scalar{{Name: "topic", Type: shard.String}}}
	other.build(t, b)
	db := openDirs(t, a, b)
	expect(t, db, "select string_agg(run || ' ' || n, ', ' order by run) from (select run, count(*) n from acts group by run)", "run 1800, run (2) 600")
	expect(t, db, "select count(topic) from acts", "600")
	expect(t, db, "select count(*) from codes_lr_fc1 c join acts a using (run, row, pos)", "2400")
	expect(t, db, "select count(*) from units", "4")
	expect(t, db, "select avg(l2(resid_10)) from acts", "13")
	table, err := db.Ask(context.Background(), "probe_score_by_label")
	must(t, err)
	if len(table.Rows) != 2 || exact(table.Rows[0][2]) != "1200" {
		t.Errorf("rows of both runs: %v", table.Rows)
	}
}

// Row 7 of two runs is two prompts, whatever columns of their own the data have.
func TestRowsAreOfARun(t *testing.T) {
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	own := []shard.Scalar{{Name: "run", Type: shard.String}}
	fixture{plan: true, units: 1, write: 1, probe: "lr", ids: []string{"x", "y"}, extra: own}.build(t, a)
	fixture{plan: true, units: 1, write: 1, probe: "lr", ids: []string{"x", "y"}}.build(t, b)
	for name, dirs := range map[string][]string{"both": {a, b}, "one with a column run": {a}, "the other": {b}} {
		db, n := openDirs(t, dirs...), len(dirs)
		for question, want := range map[string][]any{ // first row, by column
			"rows_per_group":       {"group 0", 2, 2 * n, 2 * n},
			"probe_score_by_label": {"lr", "0", 300 * n},
			"code_overlap":         {"x", "y", "code_0", 600 * n},
		} {
			table, err := db.Ask(context.Background(), question)
			if err != nil {
				t.Errorf("%s, %s: %v", name, question, err)
				continue
			}
			for i, v := range want {
				if exact(table.Rows[0][i]) != fmt.Sprint(v) {
					t.Errorf("%s, %s: column %s is %v, want %v", name, question, table.Columns[i], table.Rows[0][i], v)
				}
			}
		}
	}
	db := openDirs(t, a, b)
	expect(t, db, "select string_agg(run_ || ' ' || n, ', ' order by run_) from (select run_, count(*) n from acts group by run_)", "a 600, b 600")
}

func TestOwnColumnsWin(t *testing.T) {
	f := fixture{plan: true, units: 1, write: 1, extra: []shard.Scalar{{Name: "unit", Type: shard.String}, {Name: "filename", Type: shard.String}}}
	db := openRun(t, f, "run")
	expect(t, db, `select unit || ', ' || unit_ || ', ' || filename from acts where row = 0`, "unit 0, 0, filename 0")
}

// No name of a data set's column is taken from it.
func TestEveryColumnNameIsTheDataSets(t *testing.T) {
	extra := []shard.Scalar{{Name: "__file", Type: shard.String}, {Name: "run", Type: shard.String}, {Name: `a "quoted" 'name'`, Type: shard.String}, {Name: "file" + strings.Repeat("_", shard.MaxName-4), Type: shard.String}}
	db := openRun(t, fixture{plan: true, units: 2, write: 2, extra: extra}, "run")
	for _, c := range extra {
		expect(t, db, "select count(distinct "+ident(c.Name)+") from acts where unit = 1", "300")
	}
}

func TestHalfFinishedRun(t *testing.T) {
	f := whole()
	f.write, f.manifest = 2, false
	db := openRun(t, f, "run")
	expect(t, db, "select count(*) from acts", "1200")
	expect(t, db, "select string_agg(outcome || ' ' || coalesce(rows::varchar, '?'), ', ' order by unit) from units", "committed 600, committed 600, open ?")
	expect(t, db, "select count(*) from units where size > 1000", "2")
}

func TestBareFiles(t *testing.T) {
	db := openRun(t, fixture{units: 2, write: 2}, "run") // no plan, manifest, logs or codes
	expect(t, db, "select count(*) from acts", "1200")
	expect(t, db, "select sum(rows) from units", "1200")
	expect(t, db, "select count(*) from log", "0")
	expect(t, db, "select count(*) from vectors where width is null", "3")
	if len(db.Notes) != 1 || db.Notes[0] != "run has no plan: tables about it are empty" {
		t.Errorf("notes %q", db.Notes)
	}
}

func TestStrayFilesAreNotRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f := fixture{plan: true, units: 1, write: 1}
	f.build(t, dir)
	for _, name := range []string{".pending-1", "unit-000000.parquet.tmp", "unit-1.parquet", "notes.txt", "copy of unit-000000.parquet"} {
		must(t, os.WriteFile(filepath.Join(dir, "acts", name), []byte("half"), 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "acts", "unit-000007.parquet"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte("{"), 0o644))
	db := openDirs(t, dir)
	expect(t, db, "select count(*) from acts", "600")
	want := "run: of no unit of the plan and left out: acts/copy of unit-000000.parquet, acts/notes.txt, acts/unit-000000.parquet.tmp, acts/unit-1.parquet"
	if len(db.Notes) != 2 || !strings.HasPrefix(db.Notes[0], "the manifest of run is not used") || db.Notes[1] != want {
		t.Errorf("notes %q", db.Notes)
	}
}

// A whole shard under the name of a unit that the plan does not have is no part of the run, nor are codes of one.
func TestOnlyThePlansUnitsAreRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	whole().build(t, dir)
	for _, folder := range []string{"acts", "codes/lr-fc1"} {
		data, err := os.ReadFile(filepath.Join(dir, folder, "unit-000001.parquet"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, folder, "unit-000999.parquet"), data, 0o644))
	}
	db := openDirs(t, dir)
	expect(t, db, "select count(*) from acts", "1800")
	expect(t, db, "select count(*) from codes_lr_fc1", "1800")
	expect(t, db, "select count(*) from units", "3")
	want := []string{"run: of no unit of the plan and left out: acts/unit-000999.parquet", `run, codes of "lr-fc1": of no unit of the plan and left out: unit-000999.parquet`}
	if !slices.Equal(db.Notes, want) {
		t.Errorf("notes %q", db.Notes)
	}
}

// A shard that cannot be one, by its size, is left out and named; the others can be asked.
func TestDamagedShardsAreLeftOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	whole().build(t, dir)
	at := filepath.Join(dir, "acts", "unit-000001.parquet")
	info, err := os.Stat(at)
	must(t, err)
	must(t, os.Truncate(at, info.Size()-100))
	db := openDirs(t, dir)
	expect(t, db, "select count(*) from acts", "1200")
	expect(t, db, "select string_agg(outcome, ' ' order by unit) from units", "committed damaged committed")
	if len(db.Notes) != 1 || !strings.HasPrefix(db.Notes[0], "run: left out, acts/unit-000001.parquet: ") {
		t.Errorf("notes %q", db.Notes)
	}
}

func TestOpenRefuses(t *testing.T) {
	base := t.TempDir()
	file, empty, broken := filepath.Join(base, "file"), filepath.Join(base, "empty"), filepath.Join(base, "broken")
	must(t, os.WriteFile(file, nil, 0o644))
	must(t, os.MkdirAll(filepath.Join(broken, "acts"), 0o755))
	must(t, os.MkdirAll(empty, 0o755))
	must(t, os.WriteFile(filepath.Join(broken, "acts", "unit-000000.parquet"), []byte("not a shard"), 0o644))
	for name, c := range map[string]struct {
		dirs []string
		want string
	}{
		"none":    {nil, "open runs: none given"},
		"missing": {[]string{filepath.Join(base, "nowhere")}, "no such file"},
		"a file":  {[]string{file}, "it is a file, want the directory of a run"},
		"empty":   {[]string{empty}, "no committed unit: acts/ holds no unit-NNNNNN.parquet yet"},
		"broken":  {[]string{broken}, "open run " + broken},
	} {
		var runs []Run
		for _, dir := range c.dirs {
			runs = append(runs, Run{Name: dir})
		}
		db, err := Open(context.Background(), runs, Options{})
		if err == nil {
			db.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not say %q on one line", name, err, c.want)
		}
	}
	if _, err := Open(context.Background(), []Run{{Name: empty}}, Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty run: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "actfleet-db-*")); len(left) > 0 {
		t.Logf("scratch directories there, perhaps of others: %d", len(left))
	}
}
