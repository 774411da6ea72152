package analysis

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/duckdb/duckdb-go/v2"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store/local"
	"actfleet/shard/tap"
)

// createTables fills the small tables about the runs: plan, vectors, log, units.
func (db *DB) createTables(ctx context.Context) error {
	err := db.exec(ctx,
		"create table plan (run varchar, key varchar, value varchar)",
		"create table vectors (run varchar, name varchar, site varchar, layer integer, variant varchar, width integer, dtype varchar)",
		"create table unit_files (run varchar, unit integer, key varchar, rows bigint, size bigint, sha256 varchar, first_row bigint, end_row bigint, outcome varchar)",
	)
	if err != nil {
		return err
	}
	for _, r := range db.runs {
		if err := db.describeRun(ctx, r); err != nil {
			return fmt.Errorf("open run %s: %w", r.dir, err)
		}
	}
	if err := db.createLog(ctx); err != nil {
		return fmt.Errorf("open runs: read logs: %w", err)
	}
	return db.exec(ctx, unitsTable, "drop table unit_files")
}

// unitsTable joins the files with the commit that the logs tell of.
const unitsTable = `create table units as
select f.run, f.unit, f.key, coalesce(f.rows, l.rows) as rows, f.size, f.sha256, f.first_row, f.end_row,
       f.outcome, l.node, l.host, l.time - to_milliseconds(cast(1000 * l.seconds as bigint)) as started, l.seconds
from unit_files f
left join (select run, unit, arg_min(rows, time) as rows, arg_min(node, time) as node, arg_min(host, time) as host, arg_min(seconds, time) as seconds, min(time) as time
           from log where event = 'commit' group by run, unit) l using (run, unit)
order by f.run, f.unit`

// describeRun tells of a run what its plan, its manifest and its files tell.
func (db *DB) describeRun(ctx context.Context, r runDir) error {
	if r.hasPlan() {
		if err := db.fill("plan", planRows(r.name, r.plan)); err != nil {
			return err
		}
	}
	if err := db.fill("vectors", db.vectorRows(r)); err != nil {
		return err
	}
	return db.fill("unit_files", db.unitRows(ctx, r))
}

// planRows flattens plan.json into dotted keys.
func planRows(name string, p run.Plan) [][]driver.Value {
	var tree map[string]any
	if json.Unmarshal(p.Bytes(), &tree) != nil {
		return nil
	}
	rows := [][]driver.Value{{name, "id", p.ID()}}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		branch, ok := tree[key].(map[string]any)
		if !ok {
			rows = append(rows, []driver.Value{name, key, jsonText(tree[key])})
			continue
		}
		for _, leaf := range slices.Sorted(maps.Keys(branch)) {
			rows = append(rows, []driver.Value{name, key + "." + leaf, jsonText(branch[leaf])})
		}
	}
	return rows
}

// jsonText writes a string as it is and all else as JSON.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// vectorRows takes the plan's columns, or those found in the files.
func (db *DB) vectorRows(r runDir) (rows [][]driver.Value) {
	for _, v := range r.plan.Vectors { // every column of a plan is one of acts
		if t, variant, ok := tap.ParseColumn(v.Name); ok {
			rows = append(rows, []driver.Value{r.name, v.Name, string(t.Site), int32(t.Layer), variant, int32(v.Width), v.Dtype.String()})
		}
	}
	if len(rows) == 0 {
		for _, v := range db.vectors {
			rows = append(rows, []driver.Value{r.name, v.Name, v.Site, int32(v.Layer), v.Variant, nil, nil})
		}
	}
	return rows
}

// unitRows has every unit of the plan; without a plan, every unit that is there.
func (db *DB) unitRows(ctx context.Context, r runDir) (rows [][]driver.Value) {
	listed := map[string]run.UnitFile{}
	for _, u := range r.manifest.Units {
		listed[u.Key] = u
	}
	units := slices.Clone(r.units)
	for u := range r.plan.NumUnits() {
		units = append(units, u)
	}
	slices.Sort(units)
	for _, u := range slices.Compact(units) {
		row := []driver.Value{r.name, int32(u), run.UnitKey(u), nil, nil, nil, nil, nil, "open"}
		if u < r.plan.NumUnits() {
			row[6], row[7] = r.plan.Units[u], r.plan.Units[u+1]
		}
		if _, committed := slices.BinarySearch(r.units, u); committed {
			row[8] = "committed"
			db.describeUnit(ctx, r, listed[run.UnitKey(u)], row)
		}
		if _, gone := slices.BinarySearch(r.gone, u); gone {
			row[8] = "gone"
			db.describeGone(ctx, r, u, row)
		}
		if slices.Contains(r.damaged, u) {
			row[8] = "damaged"
		}
		rows = append(rows, row)
	}
	return rows
}

// describeUnit fills in rows, size and hash from the manifest, or rows and size
// from the file itself.
func (db *DB) describeUnit(ctx context.Context, r runDir, f run.UnitFile, row []driver.Value) {
	key := row[2].(string)
	if f.Key != "" {
		row[3], row[4], row[5] = f.Rows, f.Size, f.SHA256
		return
	}
	if info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(key))); err == nil {
		row[4] = info.Size()
	}
	st, err := local.New(r.dir)
	if err != nil {
		db.note("%s of %s: %v", key, r.name, err)
		return
	}
	reader, err := shard.Open(ctx, st, key)
	if err != nil {
		db.note("%s of %s: %v", key, r.name, err)
		return
	}
	defer reader.Close()
	row[3] = reader.NumRows()
}

// describeGone fills in rows, size and hash from a tombstone.
func (db *DB) describeGone(ctx context.Context, r runDir, u int, row []driver.Value) {
	st, err := local.New(r.dir)
	if err == nil {
		var t run.Tombstone
		if t, err = run.ReadTombstone(ctx, st, u); err == nil {
			row[3], row[4], row[5] = t.Rows, t.Size, t.SHA256
			return
		}
	}
	db.note("%s of %s: %v", run.GoneKey(u), r.name, err)
}

// createLog reads the logs line by line; lines that are not whole are left out.
func (db *DB) createLog(ctx context.Context) error {
	err := db.exec(ctx, "create table log (run varchar, file varchar, time timestamp, event varchar, node varchar, host varchar, pid bigint, unit integer, rows bigint, bytes bigint, seconds double, msg varchar)")
	if err != nil {
		return err
	}
	for _, r := range db.runs {
		if len(r.logs) == 0 {
			continue
		}
		err := db.exec(ctx, fmt.Sprintf(`insert into log select %s, parse_filename(filename), try_cast(time as timestamptz) at time zone 'UTC', event, node,
			coalesce(host, max(host) over (partition by filename)), coalesce(pid, max(pid) over (partition by filename)), unit, rows, bytes, seconds, msg
			from read_json(%s, format = 'newline_delimited', ignore_errors = true, filename = true,
			columns = {time: 'VARCHAR', event: 'VARCHAR', node: 'VARCHAR', host: 'VARCHAR', pid: 'BIGINT', unit: 'INTEGER', rows: 'BIGINT', bytes: 'BIGINT', seconds: 'DOUBLE', msg: 'VARCHAR'})
			where event is not null`, quote(r.name), quoteList(r.logFiles())))
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			db.note("the logs of %s are left out: %v", r.name, err)
		}
	}
	return nil
}

// fill appends rows to a table.
func (db *DB) fill(table string, rows [][]driver.Value) error {
	return db.conn.Raw(func(c any) (err error) {
		a, err := duckdb.NewAppenderFromConn(c.(driver.Conn), "", table)
		if err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		for _, row := range rows {
			if err := a.AppendRow(row...); err != nil {
				return fmt.Errorf("fill %s: %w", table, err)
			}
		}
		return nil
	})
}
