package analysis

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
)

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
	limit, err := db.halfOfMemory(ctx)
	if err != nil {
		return err
	}
	return db.exec(ctx,
		"set memory_limit = "+quote(limit),
		fmt.Sprintf("set threads = %d", runtime.GOMAXPROCS(0)),
		"set temp_directory = "+quote(filepath.Join(db.scratch, "spill")),
		fmt.Sprintf("set enable_external_file_cache = %t", len(db.mirrors) == 0), // their files fill up
		"set autoinstall_known_extensions = false",
		"set autoload_known_extensions = false",
		"set allowed_paths = "+quoteList(files),
		"set enable_external_access = false",
	)
}

// halfOfMemory halves DuckDB's own limit's base: its default is 80 % of what the
// machine or the container has.
func (db *DB) halfOfMemory(ctx context.Context) (string, error) {
	var text string
	if err := db.conn.QueryRowContext(ctx, "select current_setting('memory_limit')").Scan(&text); err != nil {
		return "", fmt.Errorf("read DuckDB's memory limit: %w", err)
	}
	var amount float64
	var unit string
	if _, err := fmt.Sscanf(text, "%f %s", &amount, &unit); err != nil {
		return text, nil // a form of another version: keep it
	}
	return fmt.Sprintf("%.2f %s", amount*0.5/0.8, unit), nil
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
