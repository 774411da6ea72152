package analysis

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/tap"
)

// vector is a vector column of acts.
type vector struct {
	Name, Site, Variant string
	Layer               int
}

// codes is a view over what one coder made.
type codes struct {
	View    string
	Coder   string
	Columns []string
}

func (r runDir) actFiles() []string { return r.files("acts", r.units) }

func (r runDir) codeFiles(coder string) []string {
	return r.files(r.coded[coder].link, r.coded[coder].units)
}

// files names the unit files of a linked folder.
func (r runDir) files(folder string, units []int) []string {
	out := make([]string, len(units))
	for i, u := range units {
		out[i] = filepath.Join(r.link, folder, path.Base(run.UnitKey(u)))
	}
	return out
}

func (r runDir) logFiles() []string {
	out := make([]string, len(r.logs))
	for i, name := range r.logs {
		out[i] = filepath.Join(r.link, "log", name)
	}
	return out
}

// createMacros defines the few functions that every question about vectors
// needs. cos keeps its meaning for one number.
func (db *DB) createMacros(ctx context.Context) error {
	return db.exec(ctx,
		"create macro l2(v) as sqrt(list_dot_product(v, v))",
		"create macro dot(a, b) as list_dot_product(a, b)",
		"create macro cos(a, b) as list_cosine_similarity(a, b), (x) as system.main.cos(x)",
	)
}

func (db *DB) createActs(ctx context.Context) error {
	added, err := db.addedNames(ctx, runDir.actFiles)
	if err != nil {
		return err
	}
	if len(db.runs) > 1 {
		db.runColumn = added.run
	}
	var parts []string
	for _, r := range db.runs {
		parts = append(parts, db.selectFiles(r, r.actFiles(), added, r.sameColumns()...))
	}
	if err := db.exec(ctx, "create view acts as "+strings.Join(parts, " union all by name ")); err != nil {
		return fmt.Errorf("open runs: %w", err)
	}
	columns, err := db.columns(ctx, "acts")
	if err != nil {
		return err
	}
	for _, c := range columns {
		if t, variant, ok := tap.ParseColumn(c.name); ok && strings.HasSuffix(c.kind, "[]") && db.stores(c.name) {
			db.vectors = append(db.vectors, vector{Name: c.name, Site: string(t.Site), Layer: t.Layer, Variant: variant})
		}
	}
	return nil
}

// sameColumns are the second names of vectors that are stored once for several sites.
func (r runDir) sameColumns() (columns []string) {
	for _, v := range r.plan.Vectors {
		t, variant, ok := tap.ParseColumn(v.Name)
		if !ok {
			continue
		}
		for _, site := range slices.SortedFunc(maps.Keys(r.plan.Same), tap.Site.Compare) {
			if r.plan.Same[site] == t.Site {
				columns = append(columns, ident(v.Name)+" as "+ident(tap.Tap{Site: site, Layer: t.Layer}.Column(variant)))
			}
		}
	}
	return columns
}

// stores says whether a column of acts lies in some run under this very name.
func (db *DB) stores(name string) bool {
	return slices.ContainsFunc(db.runs, func(r runDir) bool { return r.plan.Column(name) == name })
}

// createCodes makes one view per coder. Codes that cannot be read are noted and
// left out: they must not keep anyone from the activations.
func (db *DB) createCodes(ctx context.Context) error {
	coders := map[string]bool{}
	for _, r := range db.runs {
		for coder := range r.coded {
			coders[coder] = true
		}
	}
	for _, coder := range slices.Sorted(maps.Keys(coders)) {
		if err := db.createCoder(ctx, coder); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			db.note("codes of %q are left out: %v", coder, err)
		}
	}
	return nil
}

func (db *DB) createCoder(ctx context.Context, coder string) error {
	added, err := db.addedNames(ctx, func(r runDir) []string { return r.codeFiles(coder) })
	if err != nil {
		return err
	}
	var parts []string
	for _, r := range db.runs {
		if len(r.coded[coder].units) == 0 {
			continue
		}
		parts = append(parts, db.selectFiles(r, r.codeFiles(coder), added))
	}
	view := db.viewName(coder)
	if err := db.exec(ctx, "create view "+ident(view)+" as "+strings.Join(parts, " union all by name ")); err != nil {
		return err
	}
	columns, err := db.columns(ctx, view)
	if err != nil {
		return err
	}
	c := codes{View: view, Coder: coder}
	for _, col := range columns {
		c.Columns = append(c.Columns, col.name)
	}
	db.codes = append(db.codes, c)
	return nil
}

// ViewName is the view of a coder's codes, by the coder's id: codes_ and the id with everything but letters, digits
// and _ replaced. Where two ids become one, a number follows.
func ViewName(coder string) string {
	return "codes_" + strings.Map(func(c rune) rune {
		if c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, coder)
}

// viewName is the coder's ViewName, with a number where that is taken.
func (db *DB) viewName(coder string) string {
	base := ViewName(coder)
	name := base
	for n := 2; slices.ContainsFunc(db.codes, func(c codes) bool { return strings.EqualFold(c.View, name) }); n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	return name
}

// fileColumn is the path of a row's file, under a name that is longer than a column's may be.
var fileColumn = "file" + strings.Repeat("_", shard.MaxName)

// added are the names of the columns that views have beside the files' own.
type added struct{ unit, run string }

// addedNames are unit and run, with a _ behind where one of the runs has a column of its own of that name: it stays.
func (db *DB) addedNames(ctx context.Context, files func(runDir) []string) (added, error) {
	taken := map[string]bool{}
	for _, r := range db.runs {
		f := files(r)
		if len(f) == 0 {
			continue
		}
		columns, err := db.columns(ctx, readFiles(f))
		if err != nil {
			return added{}, fmt.Errorf("open run %s: %w", r.dir, err)
		}
		for _, c := range columns {
			taken[strings.ToLower(c.name)] = true
		}
	}
	free := func(name string) string {
		for taken[name] {
			name += "_"
		}
		return name
	}
	return added{free("unit"), free("run")}, nil
}

func readFiles(files []string) string {
	return fmt.Sprintf("read_parquet(%s, filename = %s, hive_partitioning = false)", quoteList(files), quote(fileColumn))
}

// selectFiles is a query over unit files, with the unit from the file's name
// and, with several runs, the run; more columns may follow those of the files.
func (db *DB) selectFiles(r runDir, files []string, a added, more ...string) string {
	extra := fmt.Sprintf(`cast(regexp_extract(%s, 'unit-(\d+)\.parquet$', 1) as integer) as %s`, ident(fileColumn), ident(a.unit))
	if len(db.runs) > 1 {
		extra = quote(r.name) + " as " + ident(a.run) + ", " + extra
	}
	columns := append([]string{extra, "* exclude (" + ident(fileColumn) + ")"}, more...)
	return fmt.Sprintf("select %s from %s", strings.Join(columns, ", "), readFiles(files))
}

// column is a name and a SQL type.
type column struct{ name, kind string }

// columns describes a view, a table or a table function.
func (db *DB) columns(ctx context.Context, from string) ([]column, error) {
	rows, err := db.conn.QueryContext(ctx, "select column_name, column_type from (describe from "+from+")")
	if err != nil {
		return nil, db.plainError(err)
	}
	defer rows.Close()
	var out []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind); err != nil {
			return nil, db.plainError(err)
		}
		out = append(out, c)
	}
	return out, db.plainError(rows.Err())
}

// quote writes a SQL string.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// ident writes a SQL name.
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
