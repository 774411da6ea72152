package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/analysis"
)

type sqlOptions struct {
	ask             string
	jsonOut, csvOut bool
}

func newSQL() *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use:   `sql RUN ["select …"]`,
		Short: "Ask a run in SQL: one question, or a prompt with history",
		Long: `Views: acts (every kept position with its vectors), codes_<coder>; tables: units, log, plan, vectors.
Macros: l2(v), dot(a, b), cos(a, b). --ask answers a question that comes with actfleet:
` + questionList() + exitCodes,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, args []string) error {
			return runSQL(c.Context(), args, o, c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.ask, "ask", "", "name of a question that comes with actfleet")
	f.BoolVar(&o.jsonOut, "json", false, "print the answer as JSON")
	f.BoolVar(&o.csvOut, "csv", false, "print the answer as CSV")
	return c
}

func questionList() string {
	var b strings.Builder
	for _, q := range analysis.Questions() {
		fmt.Fprintf(&b, "  %-22s %s\n", q.Name, q.Title)
	}
	return b.String()
}

func runSQL(ctx context.Context, args []string, o sqlOptions, in io.Reader, out io.Writer) (err error) {
	runs := strings.Split(args[0], ",")
	for _, run := range runs {
		if inBucket(run) {
			return fmt.Errorf("%w: sql reads runs in directories: copy %s to one, or pipe the columns you need: actfleet cat %s --columns row,fc1_3 --format csv | duckdb -c \"select count(*) from read_csv('/dev/stdin')\"", errUsage, run, run)
		}
	}
	db, err := analysis.Open(ctx, runs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, note := range db.Notes {
		fmt.Fprintln(os.Stderr, "note:", note)
	}
	switch {
	case o.ask != "":
		t, err := db.Ask(ctx, o.ask)
		return o.print(out, t, err)
	case len(args) == 2:
		t, err := db.Query(ctx, args[1])
		return o.print(out, t, err)
	}
	// From here Ctrl-C belongs to the prompt: it ends a query, not the program.
	return db.Prompt(releaseSignals(ctx), in, out, historyFile())
}

func (o sqlOptions) print(out io.Writer, t *analysis.Table, err error) error {
	switch {
	case err != nil:
		return err
	case o.jsonOut:
		return t.JSON(out)
	case o.csvOut:
		return t.CSV(out)
	}
	if o.ask != "" {
		for _, q := range analysis.Questions() {
			if q.Name == o.ask {
				fmt.Fprintln(out, q.Title)
			}
		}
	}
	return t.Render(out, analysis.TerminalWidth(out))
}

// historyFile is where the prompt keeps its lines; none when there is no home.
func historyFile() string {
	dir, err := os.UserConfigDir()
	if err != nil || os.MkdirAll(filepath.Join(dir, "actfleet"), 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "actfleet", "sql_history")
}
