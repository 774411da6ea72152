package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of 80 columns and 24 rows: our end, and that of the program.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// onTerminal starts the program with a terminal of its own, and collects what it writes there.
func onTerminal(t *testing.T, args ...string) (*exec.Cmd, *os.File, *output) {
	t.Helper()
	ours, theirs := terminal(t)
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "TERM=xterm-256color")
	c.Stdin, c.Stdout, c.Stderr = theirs, theirs, theirs
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	seen := &output{}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := ours.Read(b)
			if err != nil {
				return
			}
			seen.Write(b[:n])
		}
	}()
	return c, ours, seen
}

func untilSeen(t *testing.T, seen *output, text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("seen: %q", seen.String())
		}
	}()
	until(t, fmt.Sprintf("%q is seen", text), func() bool { return strings.Contains(seen.String(), text) })
}

// Full screen on a terminal, the terminal given back on q, and nothing asked of it. In lines elsewhere.
func TestWatchOnATerminal(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	n := startNode(t, run)
	untilCommitted(t, run, 1, n)
	n.stop(t)

	c, keys, seen := onTerminal(t, "status", run, "--watch")
	untilSeen(t, seen, "q quits")
	if _, err := keys.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("q ends with %v", err)
	}
	untilSeen(t, seen, "\x1b[?1049l")
	untilSeen(t, seen, "units committed")
	for _, query := range []string{"\x1b]11", "\x1b[6n"} {
		if strings.Contains(seen.String(), query) {
			t.Errorf("the terminal was asked: %q", query)
		}
	}

	if out := wantOK(t, "status", small(t), "--watch"); strings.Count(out, "\n") != 1 || strings.Contains(out, "\x1b") {
		t.Errorf("a complete run is one line, not %q", out)
	}
}
