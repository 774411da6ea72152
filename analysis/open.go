package analysis

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"

	_ "github.com/duckdb/duckdb-go/v2" // the only importer

	"actfleet/analysis/mirror"
	"actfleet/shard/store"
)

// ErrEmpty says that a run has no committed unit to ask about.
var ErrEmpty = errors.New("no committed unit")

// DB is a set of runs open for questions. It is not safe for use by several
// goroutines.
type DB struct {
	Notes []string // what could not be read, one line each
	// MaxFetch bounds the bytes that one question may fetch of runs in stores; 0 is no bound.
	MaxFetch int64
	// Progress is told how much of what a question needs is fetched; it may be nil.
	Progress func(done, total int64)

	runs    []runDir
	vectors []vector // of acts, in the order of its columns
	codes   []codes
	sql     *sql.DB
	conn    *sql.Conn // the only connection: temporary tables live in it
	scratch string    // links to the runs, mirrors, and DuckDB's spilled data
	mirrors []*mirror.Mirror

	runColumn string // of acts, to tell several runs apart; "" for one run

	maxRows, maxValues int
}

// Run is a run to ask about.
type Run struct {
	Name  string      // its directory or address
	Store store.Store // where it lies; nil: in the directory Name
}

// Open makes the views over runs. Of a run in a store it fetches footers and logs.
func Open(ctx context.Context, runs []Run) (*DB, error) {
	if len(runs) == 0 {
		return nil, errors.New("open runs: none given")
	}
	db := &DB{maxRows: maxAnswerRows, maxValues: maxAnswerValues}
	if err := db.open(ctx, runs); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, runs []Run) (err error) {
	if db.scratch, err = os.MkdirTemp("", "actfleet-sql-"); err != nil {
		return fmt.Errorf("open runs: %w", err)
	}
	for i, r := range runs {
		if r.Store != nil {
			if r, err = db.mirror(ctx, i, r); err != nil {
				return err
			}
		}
		found, err := db.discover(ctx, i, r.Name)
		if err != nil {
			return err
		}
		db.runs = append(db.runs, found)
	}
	if db.sql, err = sql.Open("duckdb", ""); err != nil {
		return fmt.Errorf("open runs: start DuckDB: %w", err)
	}
	if db.conn, err = db.sql.Conn(ctx); err != nil {
		return fmt.Errorf("open runs: start DuckDB: %w", err)
	}
	for _, step := range []func(context.Context) error{db.configure, db.createMacros, db.createActs, db.createCodes, db.createTables, db.lock} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mirror is a directory that stands in for a run in a store.
func (db *DB) mirror(ctx context.Context, i int, r Run) (Run, error) {
	m, err := mirror.Open(ctx, r.Store, filepath.Join(db.scratch, "mirror"+strconv.Itoa(i), path.Base(r.Store.String())))
	if err != nil {
		return r, fmt.Errorf("open run %s: %w", r.Name, err)
	}
	db.mirrors = append(db.mirrors, m)
	return Run{Name: m.Dir}, nil
}

// Close ends DuckDB and removes the scratch directory.
func (db *DB) Close() error {
	var errs []error
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	if db.sql != nil {
		errs = append(errs, db.sql.Close())
	}
	for _, m := range db.mirrors {
		errs = append(errs, m.Close())
	}
	if db.scratch != "" {
		errs = append(errs, os.RemoveAll(db.scratch)) // unlinks the links, not the runs
	}
	return errors.Join(errs...)
}

// runDir is what was found in one run's directory.
type runDir struct {
	name  string // unique among the runs
	dir   string // absolute
	link  string // a folder of links to its folders, under names without special characters
	units []int  // committed
	coded map[string]coded
	logs  []string // file names
}

// coded is the folder of one coder.
type coded struct {
	link  string // its name in runDir.link
	units []int
}

var (
	unitFile = regexp.MustCompile(`^unit-(\d{6})\.parquet$`)
	logFile  = regexp.MustCompile(`^[^.*?\[][^*?\[]*\.jsonl$`)
)

// discover lists a run's files. DuckDB gets them through a link with a plain
// name: it takes the letters * ? [ in any path for a pattern.
func (db *DB) discover(ctx context.Context, i int, dir string) (runDir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	if info, err := os.Stat(abs); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	} else if !info.IsDir() {
		return runDir{}, fmt.Errorf("open run %s: it is a file, want the directory of a run", dir)
	}
	r := runDir{name: db.uniqueName(filepath.Base(abs)), dir: abs, link: filepath.Join(db.scratch, strconv.Itoa(i)), coded: map[string]coded{}}
	if r.units, err = listUnits(filepath.Join(abs, "acts")); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	if len(r.units) == 0 {
		return runDir{}, fmt.Errorf("open run %s: %w: acts/ holds no unit-NNNNNN.parquet yet; run collect first", dir, ErrEmpty)
	}
	if err := os.Mkdir(r.link, 0o700); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	r.logs = listNames(filepath.Join(abs, "log"), func(e os.DirEntry) bool { return e.Type().IsRegular() && logFile.MatchString(e.Name()) })
	db.discoverCodes(&r)
	return r, errors.Join(os.Symlink(filepath.Join(abs, "acts"), filepath.Join(r.link, "acts")), os.Symlink(filepath.Join(abs, "log"), filepath.Join(r.link, "log")), ctx.Err())
}

// discoverCodes links every coder's folder that holds units.
func (db *DB) discoverCodes(r *runDir) {
	dir := filepath.Join(r.dir, "codes")
	for i, coder := range listNames(dir, func(e os.DirEntry) bool { return e.IsDir() && e.Name()[0] != '.' }) {
		units, err := listUnits(filepath.Join(dir, coder))
		c := coded{link: "codes" + strconv.Itoa(i), units: units}
		if err == nil && len(units) > 0 {
			err = os.Symlink(filepath.Join(dir, coder), filepath.Join(r.link, c.link))
			r.coded[coder] = c
		}
		if err != nil {
			db.note("codes of %q: %v", coder, err)
		}
	}
}

func (db *DB) uniqueName(base string) string {
	name := base
	for n := 2; ; n++ {
		taken := false
		for _, r := range db.runs {
			taken = taken || r.name == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s (%d)", base, n)
	}
}

func (db *DB) note(format string, args ...any) {
	db.Notes = append(db.Notes, fmt.Sprintf(format, args...))
}

// listUnits returns the committed units of a folder, ascending; a folder that
// does not exist has none.
func listUnits(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var units []int
	for _, e := range entries {
		if m := unitFile.FindStringSubmatch(e.Name()); m != nil && isFile(dir, e) {
			u, _ := strconv.Atoi(m[1]) // six digits
			units = append(units, u)
		}
	}
	return units, nil
}

// isFile also accepts a link to a file: a shard may lie on another disk.
func isFile(dir string, e os.DirEntry) bool {
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.Mode().IsRegular()
}

// listNames returns the names of the entries that are kept, or none where the
// folder cannot be read: logs and codes are extras.
func listNames(dir string, keep func(os.DirEntry) bool) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if keep(e) {
			names = append(names, e.Name())
		}
	}
	return names
}

func unitName(u int) string { return fmt.Sprintf("unit-%06d.parquet", u) }
