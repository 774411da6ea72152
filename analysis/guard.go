package analysis

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// ErrRefused says that a statement would reach outside of the database.
var ErrRefused = errors.New("refused")

// harmless are the statements that touch nothing but the database in memory.
// Not among them, because they write files or reach others: COPY, EXPORT,
// ATTACH, LOAD, INSTALL, CALL, PRAGMA, and PREPARE, which can hide them.
var harmless = map[duckdb.StmtType]bool{
	duckdb.STATEMENT_TYPE_SELECT:       true, // also VALUES, FROM, DESCRIBE, SHOW, SUMMARIZE
	duckdb.STATEMENT_TYPE_INSERT:       true,
	duckdb.STATEMENT_TYPE_UPDATE:       true,
	duckdb.STATEMENT_TYPE_DELETE:       true,
	duckdb.STATEMENT_TYPE_CREATE:       true,
	duckdb.STATEMENT_TYPE_CREATE_FUNC:  true,
	duckdb.STATEMENT_TYPE_ALTER:        true,
	duckdb.STATEMENT_TYPE_DROP:         true,
	duckdb.STATEMENT_TYPE_TRANSACTION:  true,
	duckdb.STATEMENT_TYPE_ANALYZE:      true,
	duckdb.STATEMENT_TYPE_VACUUM:       true,
	duckdb.STATEMENT_TYPE_SET:          true, // settings are locked; variables are not
	duckdb.STATEMENT_TYPE_VARIABLE_SET: true,
	duckdb.STATEMENT_TYPE_RELATION:     true,
}

var explain = regexp.MustCompile(`(?is)^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?`)

// reaching are functions that change the process or read memory as soon as a
// query that names them is prepared: a file for logs that may not be opened ends
// the process when the database closes, arrow_scan follows any pointer. query
// and json_execute_serialized_sql hide text from this pattern.
var reaching = regexp.MustCompile(`(?i)\b((en|dis)able_(logging|profil\w*|peg_parser)|arrow_scan\w*|json_execute_serialized_sql|query"?\s*(\(|/\*|--))`)

// guard returns an error unless the text is one harmless statement.
func (db *DB) guard(statement string) error {
	if name := reaching.FindStringSubmatch(statement); name != nil {
		return fmt.Errorf("%w: the function %s does not run here", ErrRefused, strings.TrimRight(name[1], "\" \n\t(/*-"))
	}
	kind, err := db.kindOf(statement)
	if err != nil {
		return err
	}
	if kind == duckdb.STATEMENT_TYPE_EXPLAIN { // EXPLAIN ANALYZE runs what it explains
		rest := explain.ReplaceAllString(statement, "")
		if rest == statement {
			return fmt.Errorf("%w: cannot tell what is explained; begin with EXPLAIN", ErrRefused)
		}
		return db.guard(rest)
	}
	if !harmless[kind] {
		return fmt.Errorf("%w: only statements that read, or change temporary tables, run here; to get rows out use the output formats of the command", ErrRefused)
	}
	return nil
}

// kindOf prepares a statement without running it. Prepare, unlike
// PrepareContext, refuses more than one statement instead of running all but
// the last.
func (db *DB) kindOf(statement string) (kind duckdb.StmtType, err error) {
	err = db.conn.Raw(func(c any) error {
		prepared, err := c.(*duckdb.Conn).Prepare(statement)
		if err != nil {
			return err
		}
		s := prepared.(*duckdb.Stmt)
		kind, err = s.StatementType()
		return errors.Join(err, s.Close())
	})
	var known *duckdb.Error
	if err != nil && !errors.As(err, &known) && !errors.Is(err, sql.ErrConnDone) {
		return kind, fmt.Errorf("%w: one statement at a time (a PIVOT must name its values: in (…))", ErrRefused)
	}
	return kind, db.plainError(err)
}
