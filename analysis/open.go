package analysis

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

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
	memory  int64     // of Options
	scratch string    // links to the runs, mirrors, and DuckDB's spilled data
	mirrors []*mirror.Mirror

	runColumn string // of acts, to tell several runs apart; "" for one run

	ownScratch         bool // Close removes it
	maxRows, maxValues int
}

// Run is a run to ask about.
type Run struct {
	Name  string      // its directory or address
	Store store.Store // where it lies; nil: in the directory Name
}

// Options tune Open; the zero value is a fine choice.
type Options struct {
	// Memory is how many bytes DuckDB holds before it spills to the disk or gives up; 0 is its own choice, 80 % of the
	// machine. Not every function of DuckDB keeps to it: package worker's bound holds for all.
	Memory int64
	// Scratch is an empty directory for links, mirrors and spilled data, which stays; "" makes one that Close removes.
	Scratch string
}

// Open makes the views over runs. Of a run in a store it fetches footers and logs.
func Open(ctx context.Context, runs []Run, o Options) (*DB, error) {
	if len(runs) == 0 {
		return nil, errors.New("open runs: none given")
	}
	db := &DB{maxRows: maxAnswerRows, maxValues: maxAnswerValues, memory: o.Memory, scratch: o.Scratch}
	if err := db.open(ctx, runs); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, runs []Run) (err error) {
	if db.scratch == "" {
		if db.scratch, err = os.MkdirTemp("", "actfleet-db-"); err != nil {
			return fmt.Errorf("open runs: %w", err)
		}
		db.ownScratch = true
	}
	if strings.ContainsAny(db.scratch, "*?[") { // DuckDB takes them for a pattern, in any path
		return fmt.Errorf("open runs: scratch files would lie in %s: set TMPDIR to a path without * ? [", db.scratch)
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

// Close ends DuckDB and removes the scratch directory that Open made.
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
	if db.ownScratch {
		errs = append(errs, os.RemoveAll(db.scratch)) // unlinks the links, not the runs
	}
	return errors.Join(errs...)
}

func (db *DB) note(format string, args ...any) {
	db.Notes = append(db.Notes, fmt.Sprintf(format, args...))
}

// configure sets limits and says which files may be read, and that no others.
func (db *DB) configure(ctx context.Context) error {
	var files []string
	for _, r := range db.runs {
		files = append(files, r.actFiles()...)
		for coder := range r.coded {
			files = append(files, r.codeFiles(coder)...)
		}
		files = append(files, r.logFiles()...)
	}
	if db.memory > 0 {
		if err := db.exec(ctx, fmt.Sprintf("set memory_limit = '%d B'", db.memory)); err != nil {
			return err
		}
	}
	return db.exec(ctx,
		fmt.Sprintf("set threads = %d", runtime.GOMAXPROCS(0)),
		"set temp_directory = "+quote(filepath.Join(db.scratch, "spill")),
		fmt.Sprintf("set enable_external_file_cache = %t", len(db.mirrors) == 0), // their files fill up
		"set autoinstall_known_extensions = false",
		"set autoload_known_extensions = false",
		"set allowed_paths = "+quoteList(files),
		"set enable_external_access = false",
	)
}

// lock ends the time in which settings can change.
func (db *DB) lock(ctx context.Context) error {
	return db.exec(ctx, "set lock_configuration = true")
}

func (db *DB) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := db.conn.ExecContext(ctx, s); err != nil {
			return db.plainError(err)
		}
	}
	return nil
}
