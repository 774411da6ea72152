package analysis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

// openLines edits lines when in and out are the process's own terminal.
func openLines(in io.Reader, out io.Writer, history string) lines {
	if in != os.Stdin || out != os.Stdout || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return plainLines{bufio.NewReader(in)}
	}
	t := &terminalLines{state: liner.NewLiner(), history: history}
	t.state.SetCtrlCAborts(true)
	t.state.SetMultiLineMode(true)
	t.state.SetCompleter(completeCommand)
	if f, err := os.Open(history); err == nil {
		_, err = t.state.ReadHistory(f) // a history that cannot be read is no history
		_ = errors.Join(err, f.Close())
	}
	return t
}

// terminalLines reads from a terminal.
type terminalLines struct {
	state   *liner.State
	history string
}

func (t *terminalLines) read(prompt string) (string, error) {
	line, err := t.state.Prompt(prompt)
	if errors.Is(err, liner.ErrPromptAborted) {
		return "", errAborted
	}
	return line, err
}

func (t *terminalLines) remember(statement string) { t.state.AppendHistory(statement) }

func (t *terminalLines) close() error {
	err := t.state.Close()
	if t.history == "" {
		return err
	}
	return errors.Join(err, t.save())
}

// save replaces the history file; what was typed may be private.
func (t *terminalLines) save() error {
	if err := os.MkdirAll(filepath.Dir(t.history), 0o700); err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	f, err := os.OpenFile(t.history, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	_, err = t.state.WriteHistory(f)
	return errors.Join(err, f.Close())
}

// completeCommand completes commands and the names of questions.
func completeCommand(line string) (out []string) {
	if prefix, ok := strings.CutPrefix(line, ".ask "); ok {
		for _, q := range Questions() {
			if strings.HasPrefix(q.Name, prefix) {
				out = append(out, ".ask "+q.Name)
			}
		}
		return out
	}
	for _, c := range []string{".tables", ".schema ", ".ask ", ".help", ".quit"} {
		if line != "" && strings.HasPrefix(c, line) {
			out = append(out, c)
		}
	}
	return out
}
