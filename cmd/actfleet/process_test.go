package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The tests run the real program: this test binary becomes it when asmain is set.
const asMain = "ACTFLEET_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Exit(execute(os.Args[1:]))
	}
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "actfleet-runs-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	collections.dir = dir
	// Commands that run in this process start workers, of SQL and of chat templates, which are the program too.
	if err := os.Setenv(asMain, "1"); err != nil {
		panic(err)
	}
	return m.Run()
}

// collections are the runs that several tests read, each collected once.
var collections struct {
	dir  string
	mu   sync.Mutex
	made map[string]*sync.Once // by what was asked for
}

// collected is a run of the shipped model and data, the test's own copy.
func collected(t *testing.T, args ...string) string {
	t.Helper()
	c := &collections
	what := strings.Join(args, " ")
	shared := filepath.Join(c.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(what))))
	c.mu.Lock()
	if c.made == nil {
		c.made = map[string]*sync.Once{}
	}
	if c.made[what] == nil {
		c.made[what] = new(sync.Once)
	}
	once := c.made[what]
	c.mu.Unlock()
	once.Do(func() {
		wantOKHere(t, append([]string{"collect", "--model", tinyModel, "--data", tinyData, "--out", shared}, args...)...)
	})
	run := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(run, os.DirFS(shared)); err != nil {
		t.Fatal(err)
	}
	return run
}

const (
	tinyModel = "../../examples/tiny-phi"
	tinyData  = "../../examples/tiny-phi/statements.jsonl"
)

// process is a running actfleet.
type process struct {
	*exec.Cmd
	out, err output
}

// output may be read while the process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// wait returns the exit code, -1 for a killed process.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// stop kills a process and waits for its end.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
}

// actfleet runs a command to its end.
func actfleet(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, args...)
	code = p.wait(t)
	return code, p.out.String(), p.err.String()
}

// wantOK runs a command that must succeed and returns what it printed.
func wantOK(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := actfleet(t, args...)
	if code != exitDone {
		t.Fatalf("actfleet %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// wantRefusal runs a command that must fail with the code and one line on stderr that says all of says.
func wantRefusal(t *testing.T, code int, says []string, args ...string) {
	t.Helper()
	got, stdout, stderr := actfleet(t, args...)
	if got != code {
		t.Errorf("exit %d, want %d", got, code)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(stderr), "\n") {
		if strings.HasPrefix(line, "actfleet: ") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || strings.Contains(stderr+stdout, "goroutine ") {
		t.Fatalf("want one line that says what is wrong, got:\n%s", stderr)
	}
	wantWords(t, lines[0], says)
}

func wantWords(t *testing.T, line string, says []string) {
	t.Helper()
	for _, word := range says {
		if !strings.Contains(line, word) {
			t.Errorf("%q does not say %q", line, word)
		}
	}
}

// commandHere runs a command to its end in the process of the tests, which has opened libtorch already: half a second less than
// a process of its own. It is not for commands whose bits are compared with another's, since all that compute here share
// the number of threads, nor for sql, which starts its own program again.
func commandHere(t *testing.T, args ...string) (code int, stdout, failure string) {
	t.Helper()
	root := newRoot()
	root.SetArgs(args)
	var out bytes.Buffer
	root.SetOut(&out)
	err := root.ExecuteContext(t.Context())
	if err != nil {
		failure = lastLine(err, exitCode(t.Context(), err))
	}
	return exitCode(t.Context(), err), out.String(), failure
}

// wantOKHere is wantOK in the process of the tests.
func wantOKHere(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, failure := commandHere(t, args...)
	if code != exitDone {
		t.Fatalf("actfleet %s: exit %d\n%s", strings.Join(args, " "), code, failure)
	}
	return stdout
}

// wantRefusalHere is wantRefusal in the process of the tests.
func wantRefusalHere(t *testing.T, code int, says []string, args ...string) {
	t.Helper()
	got, _, failure := commandHere(t, args...)
	if got != code || strings.Contains(failure, "\n") {
		t.Errorf("exit %d, want %d with one line, got %q", got, code, failure)
	}
	wantWords(t, failure, says)
}

// wantNothing checks that no unit, no manifest and no temporary file lies in a run.
func wantNothing(t *testing.T, run string) {
	t.Helper()
	_ = filepath.WalkDir(run, func(path string, d os.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && !d.IsDir() && (strings.Contains(name, "unit-") || strings.Contains(name, "manifest") || strings.HasPrefix(name, ".")) {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
}

// copyTiny copies the shipped model without its data, so that a test may spoil it.
func copyTiny(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(tinyModel, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edit replaces text in a file.
func edit(t *testing.T, path, old, with string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s holds no %q", path, old)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(old), []byte(with)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
