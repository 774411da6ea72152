package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/analysis"
)

type sqlOptions struct {
	ask             string
	fetch           string
	jsonOut, csvOut bool
}

func newSQL() *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use:   `sql RUN ["select …"]`,
		Short: "Ask a run in SQL: one question, or a prompt with history",
		Long: `Views: acts (every kept position with its vectors), codes_<coder>; tables: units, log, plan, vectors.
Macros: l2(v), dot(a, b), cos(a, b). Of a run in a bucket only the columns that a question names are fetched, once,
into sparse files below TMPDIR that are removed at the end; where unit = … keeps to some shards. --ask answers a question that comes with actfleet:
` + questionList() + exitCodes,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, args []string) error {
			return runSQL(c.Context(), args, o, c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.ask, "ask", "", "name of a question that comes with actfleet")
	f.StringVar(&o.fetch, "fetch", "8GB", "of a run in a bucket, the most that one question may fetch")
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
	db, err := openSQL(ctx, splitPaths(args[0]), o.fetch)
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

// openSQL opens runs for questions, those in buckets with a bound on what a question may fetch.
func openSQL(ctx context.Context, names []string, bound string) (*analysis.DB, error) {
	most, err := parseBytes(bound)
	if err != nil {
		return nil, fmt.Errorf("%w: --fetch: %w", errUsage, err)
	}
	var runs []analysis.Run
	for _, name := range names {
		r := analysis.Run{Name: name}
		if inBucket(name) {
			if r.Store, err = openStore(ctx, name, false); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r)
	}
	db, err := analysis.Open(ctx, runs)
	if err != nil {
		return nil, err
	}
	db.MaxFetch = most
	m := newMeter(os.Stderr)
	db.Progress = func(done, total int64) {
		line := fmt.Sprintf("fetched %s of %s", bytesText(float64(done)), bytesText(float64(total)))
		if done < total {
			m.show(line)
			return
		}
		m.last(fmt.Sprintf("%s; %s of the %s that the shards have so far", line, bytesText(float64(db.Fetched())), bytesText(float64(db.Size()))))
	}
	return db, nil
}

// parseBytes reads a size such as 500MB, 8GB or 1TB.
func parseBytes(text string) (int64, error) {
	for i, unit := range []string{"kB", "MB", "GB", "TB"} {
		number, found := strings.CutSuffix(text, unit)
		if v, err := strconv.ParseFloat(number, 64); found && err == nil && v > 0 && v < 1e6 {
			return int64(v * math.Pow(1000, float64(i+1))), nil
		}
	}
	return 0, fmt.Errorf("%q is no size: want 500MB, 8GB or 1TB", text)
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
