package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
)

// threeRows is the directory of a run of three rows.
func threeRows(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	st, err := local.New(dir)
	noError(t, err)
	shardtest.Run{Rows: []shardtest.Row{{Tokens: 1}, {Tokens: 2}, {Tokens: 3}}, Tokens: "last", Units: 2, Vectors: []shard.Vector{{Name: "fc2_0", Width: 2, Dtype: shard.F32}}}.Write(t, st)
	return dir
}

// Ctrl-C ends a question that would go on, and leaves neither a process nor a file: the scratch folder goes last.
func TestInterruptedQuestion(t *testing.T) {
	tmp, dir := t.TempDir(), threeRows(t)
	t.Setenv("TMPDIR", tmp)
	p := start(t, "sql", dir, "select count(*) from range(1000000000000)")
	scratch := func() int { found, _ := filepath.Glob(filepath.Join(tmp, "actfleet-sql-*", "0")); return len(found) }
	for end := time.Now().Add(time.Minute); scratch() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no worker after a minute: %s", p.err.String())
		}
	}
	noError(t, p.Process.Signal(os.Interrupt))
	if code := p.wait(t); code != exitInterrupted {
		t.Errorf("exit %d, want %d: %s", code, exitInterrupted, p.err.String())
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What exceeds its bounds ends with one line and exit code 1.
func TestQuestionsAreBounded(t *testing.T) {
	dir := threeRows(t)
	wantRefusal(t, exitError, []string{"more memory", "400 MB", "--memory"}, "sql", dir, "select list_sort(range(2000000000))[1]", "--memory", "400MB")
	wantRefusal(t, exitError, []string{"no answer within 200ms"}, "sql", dir, "select count(*) from range(1000000000000)", "--timeout", "200ms")
	wantRefusal(t, exitError, []string{"syntax error"}, "sql", dir, "selec 1")
	wantRefusal(t, exitError, []string{"open run /nowhere", "no such file"}, "sql", "/nowhere", "select 1")
}
