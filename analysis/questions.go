package analysis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
)

//go:embed queries/*.sql
var queries embed.FS

// ErrNoAnswer says that the run lacks what a question is about.
var ErrNoAnswer = errors.New("the run cannot answer this")

// Question is a query that comes with the program.
type Question struct {
	Name  string // to ask it by
	Title string // first line of its file
}

// Questions lists them by name.
func Questions() []Question {
	names, _ := fs.Glob(queries, "queries/*.sql") // a constant pattern
	slices.Sort(names)
	var out []Question
	for _, name := range names {
		text, err := queries.ReadFile(name)
		if err != nil {
			continue // embedded: cannot be
		}
		title, _, _ := strings.Cut(string(text), "\n")
		out = append(out, Question{strings.TrimSuffix(path.Base(name), ".sql"), strings.TrimSpace(strings.TrimPrefix(title, "--"))})
	}
	return out
}

// Ask answers the question of that name. It returns ErrNoAnswer where the run
// has no such columns or codes.
func (db *DB) Ask(ctx context.Context, name string) (*Table, error) {
	text, err := db.QuestionSQL(ctx, name)
	if err != nil {
		return nil, err
	}
	return db.Query(ctx, text)
}

// QuestionSQL is the query behind a question, as it runs on these runs: the
// files are templates over the columns and codes there are.
func (db *DB) QuestionSQL(ctx context.Context, name string) (string, error) {
	text, err := queries.ReadFile("queries/" + name + ".sql")
	if err != nil {
		var names []string
		for _, q := range Questions() {
			names = append(names, q.Name)
		}
		return "", fmt.Errorf("no question %q; there are %s", name, strings.Join(names, ", "))
	}
	columns, err := db.columns(ctx, "acts")
	if err != nil {
		return "", err
	}
	t, err := template.New(name).Funcs(template.FuncMap{"ident": ident, "text": quote, "none": noAnswer}).Parse(string(text))
	if err != nil {
		return "", fmt.Errorf("question %s: %w", name, err)
	}
	var b strings.Builder
	err = t.Execute(&b, facts{Vectors: db.vectors, Codes: db.codes, Run: db.runColumn, columns: columns})
	if errors.Is(err, ErrNoAnswer) {
		return "", fmt.Errorf("question %s: %w", name, ownError(err))
	}
	if err != nil {
		return "", fmt.Errorf("question %s: %w", name, err)
	}
	return b.String(), nil
}

// facts is what a query file can ask for.
type facts struct {
	Vectors []vector
	Codes   []codes
	Run     string // the column of acts that tells several runs apart; "" for one run. Row numbers are of a run
	columns []column
}

// Has tells whether acts has a column.
func (f facts) Has(name string) bool {
	return slices.ContainsFunc(f.columns, func(c column) bool { return c.name == name })
}

// Scored lists the codes that have a score for every row: those of probes.
func (f facts) Scored() (out []codes) {
	for _, c := range f.Codes {
		if slices.Contains(c.Columns, "score") {
			out = append(out, c)
		}
	}
	return out
}

// id is one id of a tokenizer's rows.
type id struct{ View, Coder, Column string }

// Ids lists the ids of tokenizers' codes, in the order of their rows.
func (f facts) Ids() (out []id) {
	for _, c := range f.Codes {
		for _, name := range c.Columns {
			if name == "code" || strings.HasPrefix(name, "code_") {
				out = append(out, id{c.View, c.Coder, name})
			}
		}
	}
	return out
}

// idPair is ids in the same place of the rows of two tokenizers.
type idPair struct{ A, B id }

// IdPairs lists every two tokenizers' ids that stand in the same place.
func (f facts) IdPairs() (out []idPair) {
	ids := f.Ids()
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			if a.Coder != b.Coder && a.Column == b.Column {
				out = append(out, idPair{a, b})
			}
		}
	}
	return out
}

// noAnswer ends a query file that the run cannot answer.
func noAnswer(why string) (string, error) { return "", fmt.Errorf("%w: %s", ErrNoAnswer, why) }

// ownError leaves out where in the template an error arose.
func ownError(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.HasPrefix(e.Error(), ErrNoAnswer.Error()) {
			return e
		}
	}
	return err
}
