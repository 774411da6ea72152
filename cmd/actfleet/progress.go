package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// meter shows how far long work is: one line that is rewritten on a terminal, a line every few seconds
// elsewhere. Its methods may be called from any goroutine.
type meter struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	every    time.Duration
	shown    time.Time
	line     string // that stands on the terminal now
}

// newMeter writes to f.
func newMeter(f *os.File) *meter {
	m := &meter{out: f, terminal: term.IsTerminal(int(f.Fd())), every: 5 * time.Second}
	if m.terminal {
		m.every = 100 * time.Millisecond
	}
	return m
}

// show replaces the line, unless the last one is too young.
func (m *meter) show(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.shown) >= m.every {
		m.shown = now
		m.print(line)
	}
}

// due says whether show would show anything now.
func (m *meter) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.shown) >= m.every
}

// last shows the line whatever the time, and ends it.
func (m *meter) last(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.print(line)
	if m.terminal {
		fmt.Fprintln(m.out)
	}
	m.line = ""
}

func (m *meter) print(line string) {
	if !m.terminal {
		fmt.Fprintln(m.out, line)
		return
	}
	fmt.Fprintf(m.out, "\r%s%s", line, strings.Repeat(" ", max(0, len(m.line)-len(line))))
	m.line = line
}

// Write writes lines of a log, above the line of progress on a terminal.
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.line == "" {
		return m.out.Write(p)
	}
	fmt.Fprintf(m.out, "\r%s\r", strings.Repeat(" ", len(m.line)))
	n, err := m.out.Write(p)
	fmt.Fprint(m.out, m.line)
	return n, err
}

// bytesText writes a number of bytes as people read it, in powers of 1000.
func bytesText(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB", "TB"} {
		if n < 1000 || unit == "TB" {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return ""
}

// timeText writes a duration to the second, or to the tenth below ten seconds.
func timeText(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
