package worker

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/analysis"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
)

// role makes this test binary a worker, or the owner of one.
const role = "ACTFLEET_WORKER_TEST"

const testMemory = 600 << 20

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "worker":
		err := Serve(os.Stdin, os.Stdout, testMemory, os.Args[1], func(ctx context.Context) (*analysis.DB, error) {
			if os.Args[2] == "panic" {
				panic("at the start")
			}
			return analysis.Open(ctx, []analysis.Run{{Name: os.Args[2]}}, analysis.Options{Memory: testMemory / 5 * 4, Scratch: os.Args[1]})
		})
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case "owner":
		w, err := Start(context.Background(), config(os.Args[1]))
		if err == nil {
			err = w.Answer(context.Background(), os.Stdout, analysis.Request{SQL: "select " + endless})
		}
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// endless is a question that can be cancelled, and hears it.
const endless = "count(*) from range(1000000000000)"

func config(dir string) Config {
	return Config{Memory: "600 MB", Note: func(string) {}, Command: func(scratch string) *exec.Cmd {
		c := exec.Command(os.Args[0], scratch, dir)
		c.Env = append(os.Environ(), role+"=worker")
		return c
	}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made is the directory of a run of 40 rows.
func made(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	st, err := local.New(dir)
	must(t, err)
	shardtest.Fill{}.PutRun(t, st, shardtest.Plan(run.Plan{Data: run.DataRef{Name: "made", Rows: 40}, Tokens: "last", Scalars: shard.BaseScalars(),
		Vectors: []shard.Vector{{Name: "fc2_0", Width: 4, Dtype: shard.F16}}}, 2))
	return dir
}

// begin starts a worker whose scratch lies in a TMPDIR of this test.
func begin(t testing.TB, change func(*Config)) (w *Worker, tmp string) {
	t.Helper()
	dir := made(t)
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	cfg := config(dir)
	if change != nil {
		change(&cfg)
	}
	w, err := Start(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() {
		must(t, w.Close())
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	return w, tmp
}

func ask(t testing.TB, w *Worker, sql string) string {
	t.Helper()
	var out strings.Builder
	if err := w.Answer(t.Context(), &out, analysis.Request{SQL: sql, Form: analysis.CSV}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out.String()
}

// refused asks a question that must fail, with one line, and then one that must not.
func refused(t testing.TB, w *Worker, ctx context.Context, sql, want string) error {
	t.Helper()
	err := w.Answer(ctx, io.Discard, analysis.Request{SQL: sql, Form: analysis.CSV})
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v; want one line with %q", sql, err, want)
	}
	if got := ask(t, w, "select count(*) as n from acts"); got != "n\n40\n" {
		t.Errorf("after %s: %q", sql, got)
	}
	return err
}

func TestAnswers(t *testing.T) {
	w, _ := begin(t, nil)
	if got := ask(t, w, "select range as i, repeat('x', 1000) as text from range(3000)"); len(got) < 3_000_000 || !strings.HasPrefix(got, "i,text\n0,xxx") {
		t.Errorf("%d bytes", len(got))
	}
	ask(t, w, "create temp table t as select 7 as seven")
	if got := ask(t, w, "select seven from t"); got != "seven\n7\n" {
		t.Errorf("%q", got)
	}
	refused(t, w, t.Context(), "selec 1", "syntax error")
	var out strings.Builder
	must(t, w.Answer(t.Context(), &out, analysis.Request{Ask: "mean_norm_by_layer", Form: analysis.Text}))
	if !strings.Contains(out.String(), "fc2") {
		t.Errorf("%q", out.String())
	}
}

// DuckDB does not count what these take: each ends with one line, whatever of it gave up.
func TestMemoryIsBounded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux bounds it")
	}
	w, _ := begin(t, nil)
	for _, sql := range []string{
		"select list_sort(range(2000000000))[1]",
		"select length(repeat('x', 3000000000))",
		"select list_sum(list(range)) from range(1000000000)",
	} {
		if err := refused(t, w, t.Context(), sql, "more memory than is allowed, 600 MB"); !errors.Is(err, analysis.ErrMemory) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestTimeout(t *testing.T) {
	w, _ := begin(t, func(c *Config) { c.Timeout = 300 * time.Millisecond })
	refused(t, w, t.Context(), "select "+endless, "no answer within 300ms")
}

// A question that is cancelled leaves the worker, and its temporary tables, as they were.
func TestCancelledQuestion(t *testing.T) {
	w, _ := begin(t, nil)
	ask(t, w, "create temp table t as select 7 as seven")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := w.Answer(ctx, io.Discard, analysis.Request{SQL: "select " + endless}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if got := ask(t, w, "select seven from t"); got != "seven\n7\n" {
		t.Errorf("%q", got)
	}
}

func TestKilledWorker(t *testing.T) {
	w, _ := begin(t, nil)
	pid := w.process.cmd.Process.Pid
	stop := time.AfterFunc(100*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	defer stop.Stop()
	refused(t, w, t.Context(), "select "+endless, "the process of the question died (signal: killed)")
}

func TestPanickingWorker(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, err := Start(t.Context(), config("panic"))
	if err == nil || !strings.Contains(err.Error(), "panic: at the start") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRunThatIsNone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := Start(t.Context(), config("/nowhere")); err == nil || !strings.Contains(err.Error(), "open run /nowhere: stat /nowhere: no such file") {
		t.Errorf("%v", err)
	}
}

// An owner that is killed leaves neither its worker nor a file.
func TestKilledOwner(t *testing.T) {
	tmp := t.TempDir()
	owner := exec.Command(os.Args[0], made(t))
	owner.Env = append(os.Environ(), role+"=owner", "TMPDIR="+tmp)
	must(t, owner.Start())
	until(t, "the worker spills or links", func() bool { left, _ := filepath.Glob(filepath.Join(tmp, "*", "0")); return len(left) == 1 })
	must(t, owner.Process.Kill())
	_ = owner.Wait()
	until(t, "the scratch folder is gone", func() bool { left, _ := filepath.Glob(filepath.Join(tmp, "*")); return len(left) == 0 })
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute not: %s", what)
		}
	}
}

func TestSweep(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	held, err := makeScratch()
	must(t, err)
	old := time.Now().Add(-2 * sweepAge)
	for name, lock := range map[string]bool{scratchPrefix + "killed": true, scratchPrefix + "new": false, scratchPrefix + "old": false, "others": false} {
		dir := filepath.Join(tmp, name)
		must(t, os.Mkdir(dir, 0o700))
		if lock {
			must(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
		}
		if name == scratchPrefix+"old" {
			must(t, os.Chtimes(dir, old, old))
		}
	}
	sweep()
	var left []string
	entries, err := os.ReadDir(tmp)
	must(t, err)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{filepath.Base(held.dir), scratchPrefix + "new", "others"}; strings.Join(left, " ") != strings.Join(want, " ") {
		t.Errorf("left %q, want %q", left, want)
	}
	must(t, held.remove())
}
