package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"actfleet/analysis/mirror"
)

// ErrTooMuch says that a question needs more of a run in a store than MaxFetch.
var ErrTooMuch = errors.New("the question reads too much")

// Fetched is how many bytes were asked of stores so far, Size how many their shards have.
func (db *DB) Fetched() (n int64) {
	for _, m := range db.mirrors {
		n += m.Fetched()
	}
	return n
}

// Size is how many bytes the shards of runs in stores have.
func (db *DB) Size() (n int64) {
	for _, m := range db.mirrors {
		n += m.Size()
	}
	return n
}

// fetch brings what a statement reads of runs in stores, as its plan tells: a column is fetched for all row groups of
// the units that are not ruled out by name.
func (db *DB) fetch(ctx context.Context, statement string) error {
	if len(db.mirrors) == 0 {
		return nil
	}
	scans, err := db.scansOf(ctx, statement)
	if err != nil || len(scans) == 0 {
		return err
	}
	var total int64
	wants := make([][]mirror.Want, len(db.mirrors))
	for i, m := range db.mirrors {
		if wants[i], err = db.wantsOf(ctx, m, scans); err != nil {
			return err
		}
		total += m.Cost(wants[i])
	}
	if db.MaxFetch > 0 && total > db.MaxFetch {
		return fmt.Errorf("%w: %s of the %s in the store, and %s is the bound: name the columns it needs, ask one unit (where unit = 0), or raise the bound",
			ErrTooMuch, byteText(total), byteText(db.Size()), byteText(db.MaxFetch))
	}
	progress := db.meter(total)
	for i, m := range db.mirrors {
		if err := m.Fetch(ctx, wants[i], progress); err != nil {
			return err
		}
	}
	return nil
}

// meter adds up what several requests report at once.
func (db *DB) meter(total int64) func(int64) {
	if db.Progress == nil || total == 0 {
		return nil
	}
	var mu sync.Mutex
	var done int64
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		db.Progress(done, total)
	}
}

func byteText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	return fmt.Sprintf("%.3g %s", v, units[u])
}

// scan is a reading of Parquet files in a query plan.
type scan struct {
	columns []string // that come out of it
	filters []string // SQL over its columns
}

// scansOf asks DuckDB what a statement would read. What has no plan, such as a transaction, reads nothing; and
// explaining alone reads nothing either.
func (db *DB) scansOf(ctx context.Context, statement string) ([]scan, error) {
	if m := explain.FindStringSubmatch(statement); m != nil {
		if m[1] == "" {
			return nil, nil
		}
		statement = explain.ReplaceAllString(statement, "")
	}
	var key, text string
	err := db.conn.QueryRowContext(ctx, "explain (format json) "+statement).Scan(&key, &text)
	if err != nil {
		return nil, ctx.Err() // what is wrong with it is said when it runs
	}
	var plan []node
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return nil, fmt.Errorf("read the plan of the query: %w", err)
	}
	var out []scan
	for _, n := range plan {
		n.scans(&out)
	}
	return out, nil
}

// node is an operator of a plan as DuckDB 1.5 writes it.
type node struct {
	Name     string                     `json:"name"`
	Children []node                     `json:"children"`
	Extra    map[string]json.RawMessage `json:"extra_info"`
}

func (n node) scans(out *[]scan) {
	if strings.TrimSpace(n.Name) == "READ_PARQUET" {
		*out = append(*out, scan{n.list("Projections"), n.list("Filters")})
	}
	for _, c := range n.Children {
		c.scans(out)
	}
}

// list reads a field that is one text or a list of them.
func (n node) list(field string) []string {
	var many []string
	if json.Unmarshal(n.Extra[field], &many) == nil {
		return many
	}
	var one string
	if json.Unmarshal(n.Extra[field], &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

// wantsOf is what the scans read of a mirror: the columns that come out, and those that a filter's text contains,
// which may be some too many.
func (db *DB) wantsOf(ctx context.Context, m *mirror.Mirror, scans []scan) (out []mirror.Want, err error) {
	all := m.Columns()
	for _, s := range scans {
		w := mirror.Want{}
		for _, c := range all {
			named := func(filter string) bool { return strings.Contains(filter, c) }
			if slices.Contains(s.columns, c) || slices.ContainsFunc(s.filters, named) {
				w.Columns = append(w.Columns, c)
			}
		}
		if w.Files, err = db.filesOf(ctx, s.filters); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// filesOf evaluates the filters that look at nothing but the file's name: DuckDB reads no page of the others. A
// filter over other columns as well rules no file out.
func (db *DB) filesOf(ctx context.Context, filters []string) (func(path string) bool, error) {
	var kept map[string]bool
	var files map[string]string
	for _, f := range filters {
		if !strings.Contains(f, fileColumn) {
			continue
		}
		if files == nil {
			files = db.allFiles()
		}
		names, err := db.strings(ctx, fmt.Sprintf("select %[1]s from (select unnest(%[2]s) as %[1]s) where %[3]s", fileColumn, quoteList(slices.Collect(maps.Keys(files))), f))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue
		}
		also := map[string]bool{}
		for _, n := range names {
			if kept == nil || kept[files[n]] {
				also[files[n]] = true
			}
		}
		kept = also
	}
	if kept == nil {
		return nil, nil
	}
	return func(path string) bool { return kept[path] }, nil
}

// allFiles maps the names by which DuckDB knows the unit files to their own.
func (db *DB) allFiles() map[string]string {
	out := map[string]string{}
	for _, r := range db.runs {
		for _, name := range r.actFiles() {
			out[name] = filepath.Join(r.dir, "acts", filepath.Base(name))
		}
		for coder := range r.coded {
			for _, name := range r.codeFiles(coder) {
				out[name] = filepath.Join(r.dir, "codes", coder, filepath.Base(name))
			}
		}
	}
	return out
}

// strings is the first column of an answer.
func (db *DB) strings(ctx context.Context, query string) (out []string, err error) {
	rows, err := db.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, db.plainError(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, db.plainError(err)
		}
		out = append(out, s)
	}
	return out, db.plainError(rows.Err())
}
