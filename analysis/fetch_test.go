package analysis

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/analysis/mirror"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// both opens a run as a directory and as a store.
func both(t testing.TB, f fixture) (here, there *DB, st *shardtest.Counted) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "night-1")
	f.build(t, dir)
	inner, err := local.New(dir)
	must(t, err)
	st = &shardtest.Counted{Store: inner}
	there, err = Open(t.Context(), []Run{{Name: "s3://fleet/night-1", Store: st}}, Options{})
	must(t, err)
	t.Cleanup(func() { must(t, there.Close()) })
	return openDirs(t, dir), there, st
}

// Every form of question has the answer that the directory gives, asked of a mirror that holds nothing yet.
func TestStoreAnswersAsDirectory(t *testing.T) {
	questions := []string{
		"select count(*) from acts",
		"select avg(l2(resid_10)) from acts",
		"select label, avg(l2(fc1_0)) from acts group by label order by label",
		"select * from acts order by row limit 3",
		"select * exclude (fc1_0) from acts where row = 700",
		"select * from acts where unit = 2 order by row desc limit 2",
		"select count(*) from acts where fc1_0[1] > 4",
		"select sum(l2(fc1_0)) from acts where unit in (0, 2) and label = 1",
		"select sum(l2(fc1_0)) from acts where unit % 2 = 0",
		"select sum(l2(fc1_0)) from acts where unit < 1 or label = 0",
		"select sum(l2(fc1_0)) from acts where unit between 1 and 5 and row % 7 = 3",
		"select unit, sum(l2(fc1_0)) from acts group by unit order by unit",
		"select row, l2(resid_10) as n from acts order by n desc, row limit 5",
		"select sum(score), count(*) from codes_lr_fc1 c join acts a using (row, pos) where a.label = 1",
		"with t as (select row, fc1_0 from acts where row < 50) select sum(dot(t.fc1_0, a.fc1_0)) from t join acts a on a.row = t.row + 1",
		"create temp table t as select row, resid_10 from acts where row < 9; select sum(resid_10[1]) from t",
		"select sum(n) from (select l2(fc1_0__ia3) n from acts union all select score from codes_lr_fc1)",
		"select (select max(fc1_0[1]) from acts) - min(fc1_0[2]) from acts",
		"select row from acts where row in (select row from codes_lr_fc1 where score > 0.5) order by row limit 4",
		"select count(*) from acts semi join (select row from acts where l2(fc1_0) > 7) using (row)",
		"from acts select max(token) over (order by row) order by row limit 2",
		"select count(*) from (pivot acts on label in (0, 1) using max(l2(fc1_0)) group by unit)",
		"select string_agg(node, ' ' order by unit) from units",
		"select count(*), sum(size) from units",
		"select count(*) from log",
		"explain analyze select sum(l2(fc1_0)) from acts; select 7",
		"summarize select row, l2(fc1_0) from acts where row < 9", // few enough for one thread: its quantiles depend on how threads share rows
	}
	for _, q := range questions {
		here, there, _ := both(t, whole())
		want, got := answer(t, here, q), answer(t, there, q)
		var a, b strings.Builder
		must(t, want.CSV(&a))
		must(t, got.CSV(&b))
		if a.String() != b.String() {
			t.Errorf("%s:\n%s of the directory, of the store\n%s", q, a.String(), b.String())
		}
	}
}

// What a question does not name is not fetched, what is there is not fetched again, and units ruled out by name are
// not touched.
func TestStoreBytes(t *testing.T) {
	_, db, st := both(t, whole())
	cost := func(q string) int64 {
		before := st.Read.Load()
		answer(t, db, q)
		if n := db.Fetched(); n > st.Read.Load() {
			t.Errorf("%s: %d bytes fetched, %d read", q, n, st.Read.Load())
		}
		return st.Read.Load() - before
	}
	if n := cost("select count(*) from acts"); n != 0 {
		t.Errorf("count(*) reads %d bytes", n)
	}
	column := columnBytes(t, st, "fc1_0")
	if n := cost("select sum(l2(fc1_0)) from acts where unit = 1"); n != column {
		t.Errorf("one column of one unit reads %d bytes, it has %d", n, column)
	}
	if n := cost("select sum(l2(fc1_0)) from acts"); n != 2*column {
		t.Errorf("the other two units read %d bytes, they have %d", n, 2*column)
	}
	if n := cost("select max(fc1_0[1]) from acts where unit > 0"); n != 0 {
		t.Errorf("what is there is read again: %d bytes", n)
	}
}

// columnBytes is the size of a column in the first unit.
func columnBytes(t *testing.T, st store.Store, column string) (n int64) {
	t.Helper()
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	must(t, err)
	defer r.Close()
	for g := range r.NumGroups() {
		s, ok := r.Chunk(g, column)
		if !ok {
			t.Fatalf("no column %s", column)
		}
		n += s.Size
	}
	return n
}

// A question that needs more than the bound is refused with the way out, before a byte is fetched.
func TestStoreBound(t *testing.T) {
	_, db, st := both(t, whole())
	db.MaxFetch = 3000
	before := st.Read.Load()
	_, err := db.Query(t.Context(), "select * from acts limit 1")
	if !errors.Is(err, ErrTooMuch) || !strings.Contains(err.Error(), "where unit = 0") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if n := st.Read.Load() - before; n != 0 {
		t.Errorf("%d bytes were read", n)
	}
	expect(t, db, "select sum(label) from acts where unit = 0", "300")
}

// Where a column is missing although it was needed, the answer is an error and never zeros.
func TestHolesAreErrors(t *testing.T) {
	_, db, _ := both(t, whole())
	var mirrors []*mirror.Mirror
	mirrors, db.mirrors = db.mirrors, nil // nothing is fetched any more
	for _, q := range []string{"select sum(l2(fc1_0)) from acts", "select sum(label) from acts", "select max(token) from acts", "select sum(resid_10[1]) from acts where unit = 2"} {
		if got, err := db.Query(t.Context(), q); err == nil {
			t.Errorf("%s: %v", q, got.Rows)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q", q, err)
		}
	}
	db.mirrors = mirrors
	expect(t, db, "select avg(l2(resid_10)) from acts", "13")
}

// A half finished run and one that holds other files open as they do in a directory.
func TestStoreOfHalfARun(t *testing.T) {
	f := whole()
	f.write, f.manifest = 2, false
	_, db, _ := both(t, f)
	expect(t, db, "select count(*) from acts", "1200")
	expect(t, db, "select string_agg(outcome || ' ' || coalesce(rows::varchar, '?'), ', ' order by unit) from units", "committed 600, committed 600, open ?")
}

// The rows of a ring's units that every reader has acknowledged are not there any more, in a directory and in a bucket: a
// note says so, and the units are no open ones.
func TestARingWhoseShardsAreDeleted(t *testing.T) {
	f := whole()
	f.units, f.gone, f.manifest, f.probe = 4, []int{0, 2}, false, ""
	dir, db, _ := both(t, f)
	for name, db := range map[string]*DB{"directory": dir, "bucket": db} {
		expect(t, db, "select string_agg(distinct unit::varchar, ' ') || ' ' || count(*) from acts", "1 600")
		expect(t, db, "select string_agg(outcome || ' ' || coalesce(rows::varchar, '?'), ', ' order by unit) from units", "gone 600, committed 600, gone 600, open ?")
		expect(t, db, "select count(*) from units where outcome = 'gone' and size > 1000 and length(sha256) = 64", "2")
		want := "is a ring: the rows of 2 of its 4 units are gone, which every reader has acknowledged"
		if len(db.Notes) != 1 || !strings.HasSuffix(db.Notes[0], want) {
			t.Errorf("%s: notes %q", name, db.Notes)
		}
	}
}
