package analysis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNothingIsWritten(t *testing.T) {
	db := openRun(t, whole(), "run")
	unit := db.runs[0].actFiles()[0]
	secret := filepath.Join(t.TempDir(), "secret.csv")
	must(t, os.WriteFile(secret, []byte("a,b\n1,2\n"), 0o644))
	before, err := os.ReadFile(unit)
	must(t, err)
	copyTo := fmt.Sprintf("copy (select 1) to '%s' (format csv, use_tmp_file false)", unit)
	for _, text := range []string{
		copyTo,
		"explain analyze " + copyTo,
		"explain /* hidden */ analyze " + copyTo,
		"/* first */ explain analyze " + copyTo,
		"explain (analyze) " + copyTo,
		"explain explain analyze " + copyTo,
		"prepare x as " + copyTo + "; execute x",
		"select 1; " + copyTo,
		"select E'\\'; " + copyTo + "; select '",
		"export database '" + filepath.Dir(secret) + "'",
		"attach '" + filepath.Dir(secret) + "/x.db'",
		"attach '" + unit + "' as y",
		"install httpfs", "load httpfs",
		"pragma enable_profiling='json'",
		"call enable_logging(storage='file', storage_path='" + filepath.Dir(secret) + "/log')",
		"select * from enable_logging(storage='file', storage_path='" + filepath.Dir(secret) + "/log')",
		"select * from \"enable_logging\" (storage='file', storage_path='x')",
		"select * from query('select * from enable' || '_logging(storage=''file'', storage_path=''x'')')",
		"from enable_profiling(format='json', save_location='" + filepath.Dir(secret) + "/prof')",
		"select * from arrow_scan(1, 2, 3)",
		"set enable_external_access = true", "set allowed_paths = []", "set threads = 1", "reset memory_limit",
		"select * from read_csv('" + secret + "')", "select * from '" + secret + "'", "select * from glob('/etc/*')",
		"select * from read_text('/proc/self/environ')", "create secret (type s3)",
	} {
		if _, err := db.Query(context.Background(), text); err == nil {
			t.Errorf("%s: ran", text)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error of several lines: %v", text, err)
		}
	}
	after, err := os.ReadFile(unit)
	must(t, err)
	if string(before) != string(after) {
		t.Error("a unit file changed")
	}
	if entries, _ := os.ReadDir(filepath.Dir(secret)); len(entries) != 1 {
		t.Errorf("files appeared: %v", entries)
	}
	expect(t, db, "select count(*) from acts", "1800")
}

func TestErrorsAreOneLine(t *testing.T) {
	db := openRun(t, whole(), "run")
	for text, want := range map[string]string{
		"select lable from acts":            `Candidates: "label"`,
		"select * from act":                 "Table with name act does not exist",
		"selec 1":                           `syntax error at or near "selec"`,
		"select l2(token) from acts":        "list_dot_product",
		"select 1; select 2 select":         "syntax error",
		"pivot acts on label":               "a PIVOT must name its values",
		"select 'abc'::int":                 "Could not convert string 'abc'",
		"select fc1_0[1] + token from acts": "",
	} {
		_, err := db.Query(context.Background(), text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line with %q", text, err, want)
		}
	}
}

func TestCancel(t *testing.T) {
	db := openRun(t, whole(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	if _, err := db.Query(ctx, "select count(*) from range(1000000000000)"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled query: %v", err)
	}
	expect(t, db, "select 1", "1")
}

func TestLongAnswersAreCut(t *testing.T) {
	db := openRun(t, fixture{units: 1, write: 1}, "run")
	db.maxRows, db.maxValues = 1000, 5000
	table := answer(t, db, "select range from range(2000)")
	if !table.Cut || len(table.Rows) != 1000 {
		t.Errorf("%d rows, cut: %t", len(table.Rows), table.Cut)
	}
	if err := table.CSV(io.Discard); !errors.Is(err, ErrCut) {
		t.Errorf("a cut answer passes for a whole one: %v", err)
	}
	table = answer(t, db, "select list_resize([1.0], 100, 0) from range(1000)")
	if !table.Cut || len(table.Rows) != 51 {
		t.Errorf("%d rows of 100 values, cut: %t", len(table.Rows), table.Cut)
	}
	if table = answer(t, db, "select range from range(1000)"); table.Cut {
		t.Error("an answer of just the bound is cut")
	}
}
