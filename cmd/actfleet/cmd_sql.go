package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"actfleet/analysis"
	"actfleet/analysis/worker"
)

type sqlOptions struct {
	ask             string
	fetch, memory   string
	timeout         time.Duration
	jsonOut, csvOut bool
}

func newSQL() *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use:   `sql RUN ["select …"]`,
		Short: "Query a run in SQL: one query, or an interactive shell with history",
		Long: `Views: acts (every kept position with its vectors), codes_<coder>; tables: units, log, plan, vectors.
Macros: l2(v), dot(a, b), cos(a, b). From a run in a bucket only the columns used in a query are fetched, once,
into sparse files below TMPDIR that are removed at the end; where unit = … restricts it to some shards. Queries run in a
separate process, bounded by --memory and --timeout; one that exceeds them fails with one line. --ask runs a built-in
query:
` + questionList() + exitCodes,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, args []string) error {
			return runSQL(c.Context(), args, o, c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.ask, "ask", "", "name of a built-in query")
	f.StringVar(&o.fetch, "fetch", "8GB", "for a run in a bucket, the most that one query may fetch")
	f.StringVar(&o.memory, "memory", "", "the most memory that a query may use, such as 4GB (default: half of the machine's)")
	f.DurationVar(&o.timeout, "timeout", 0, "time limit of a query, such as 30s (default: none)")
	f.BoolVar(&o.jsonOut, "json", false, "print the result as JSON")
	f.BoolVar(&o.csvOut, "csv", false, "print the result as CSV")
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
	w, err := o.start(ctx, splitPaths(args[0]))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	r := analysis.Request{Ask: o.ask, Form: o.form(), Width: analysis.TerminalWidth(out)}
	if len(args) == 2 {
		r.SQL = args[1]
	} else if o.ask == "" {
		// From here Ctrl-C belongs to the prompt: it ends a question, not the program.
		return analysis.Prompt(releaseSignals(ctx), w, in, out, historyFile())
	}
	return w.Answer(ctx, out, r)
}

func (o sqlOptions) form() analysis.Form {
	switch {
	case o.jsonOut:
		return analysis.JSON
	case o.csvOut:
		return analysis.CSV
	}
	return analysis.Text
}

// start starts the process that answers.
func (o sqlOptions) start(ctx context.Context, runs []string) (*worker.Worker, error) {
	if o.ask != "" && !slices.ContainsFunc(analysis.Questions(), func(q analysis.Question) bool { return q.Name == o.ask }) {
		return nil, fmt.Errorf("%w: --ask %s: there is no such query; sql --help lists them", errUsage, o.ask)
	}
	fetch, err := parseBytes(o.fetch)
	if err != nil {
		return nil, fmt.Errorf("%w: --fetch: %w", errUsage, err)
	}
	memory := halfOfMemory()
	if o.memory != "" {
		if memory, err = parseBytes(o.memory); err != nil {
			return nil, fmt.Errorf("%w: --memory: %w", errUsage, err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	m := newMeter(os.Stderr)
	return worker.Start(ctx, worker.Config{
		Command: func(scratch string) *exec.Cmd {
			args := []string{"sql-worker", "--memory", strconv.FormatInt(memory, 10), "--fetch", strconv.FormatInt(fetch, 10), "--", scratch}
			return exec.Command(exe, append(args, runs...)...)
		},
		Timeout: o.timeout,
		Memory:  bytesText(float64(memory)),
		Note:    func(note string) { fmt.Fprintln(os.Stderr, "note:", note) },
		Progress: func(done, total, held, size int64) {
			line := fmt.Sprintf("fetched %s of %s", bytesText(float64(done)), bytesText(float64(total)))
			if done < total {
				m.show(line)
				return
			}
			m.last(fmt.Sprintf("%s; %s of the %s that the shards have so far", line, bytesText(float64(held)), bytesText(float64(size))))
		},
	})
}

// newSQLWorker is the process that answers for sql.
func newSQLWorker() *cobra.Command {
	var memory, fetch int64
	c := &cobra.Command{
		Use:    "sql-worker SCRATCH RUN…",
		Short:  "Run the queries of sql, which starts it",
		Hidden: true,
		Args:   usage(cobra.MinimumNArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			return worker.Serve(c.InOrStdin(), c.OutOrStdout(), memory, args[0], func(ctx context.Context) (*analysis.DB, error) {
				db, err := openSQL(ctx, args[1:], analysis.Options{Memory: memory / 5 * 4, Scratch: args[0]})
				if err == nil {
					db.MaxFetch = fetch
				}
				return db, err
			})
		},
	}
	c.Flags().Int64Var(&memory, "memory", 0, "bytes of memory that a query may use; 0 is no limit")
	c.Flags().Int64Var(&fetch, "fetch", 0, "bytes that a query may fetch; 0 is no limit")
	return c
}

// openSQL opens runs, those in buckets through their stores.
func openSQL(ctx context.Context, names []string, o analysis.Options) (*analysis.DB, error) {
	var runs []analysis.Run
	for _, name := range names {
		r := analysis.Run{Name: name}
		if inBucket(name) {
			var err error
			if r.Store, err = openStore(ctx, name, false); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r)
	}
	return analysis.Open(ctx, runs, o)
}

// halfOfMemory is half of what the machine and its control group have; 0 where neither tells.
func halfOfMemory() int64 {
	total := 1024 * fileNumber("/proc/meminfo", "MemTotal:")
	if limit := fileNumber("/sys/fs/cgroup/memory.max", ""); limit > 0 && (total == 0 || limit < total) {
		total = limit
	}
	return int64(total / 2)
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

// historyFile is where the prompt keeps its lines; none when there is no home.
func historyFile() string {
	dir, err := os.UserConfigDir()
	if err != nil || os.MkdirAll(filepath.Join(dir, "actfleet"), 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "actfleet", "sql_history")
}

// releaseSignals lets Ctrl-C pass to whoever asks for it next.
func releaseSignals(ctx context.Context) context.Context {
	if release, ok := ctx.Value(releaseKey{}).(func()); ok {
		release()
	}
	return ctx
}
