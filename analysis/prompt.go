package analysis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

const help = `SQL ends with ; and may take several lines. Ctrl-C stops a query or clears the line, Ctrl-D ends.
.tables          views and tables
.schema [name]   columns of one, or of all
.ask [name]      the questions that come with the program, or the answer to one
.help            this
.quit            end
`

// errEnd ends the prompt.
var errEnd = errors.New("end")

// lines gives the prompt its lines: a terminal or a plain reader.
type lines interface {
	read(prompt string) (string, error) // io.EOF at the end, errAborted after Ctrl-C
	remember(statement string)
	close() error
}

var errAborted = errors.New("line aborted")

// Answerer answers requests: a DB, or a process that has one.
type Answerer interface {
	Answer(ctx context.Context, w io.Writer, r Request) error
}

// Prompt reads statements from in and writes answers to out until the end of in,
// .quit, or the end of the context. On a terminal it edits lines and keeps their
// history in the file history, unless that is empty. Ctrl-C (SIGINT) ends the
// running query only. An error of a statement is written to out and is not the
// end.
func Prompt(ctx context.Context, a Answerer, in io.Reader, out io.Writer, history string) (err error) {
	s := session{answerer: a, out: out, width: TerminalWidth(out)}
	reader := openLines(in, out, history)
	defer func() { err = errors.Join(err, reader.close()) }()
	pending := ""
	for ctx.Err() == nil {
		prompt := "sql> "
		if pending != "" {
			prompt = "  -> "
		}
		line, err := reader.read(prompt)
		switch {
		case errors.Is(err, errAborted):
			pending = ""
			continue
		case errors.Is(err, io.EOF):
			if _, piped := reader.(plainLines); piped { // the last ; may be missing
				s.run(ctx, pending)
			}
			return nil
		case err != nil:
			return fmt.Errorf("read prompt: %w", err)
		}
		if pending, err = s.take(ctx, pending, line, reader); errors.Is(err, errEnd) {
			return nil
		}
	}
	return ctx.Err()
}

// session is a prompt at work.
type session struct {
	answerer Answerer
	out      io.Writer
	width    int
}

// take adds a line to what is pending, runs what is complete and returns the
// rest.
func (s session) take(ctx context.Context, pending, line string, reader lines) (rest string, err error) {
	if command := dotCommand(line); pending == "" && command != "" {
		reader.remember(command)
		return "", s.command(ctx, command)
	}
	statements, rest := split(pending + line + "\n")
	for _, text := range statements {
		reader.remember(strings.Join(strings.Fields(text), " ") + ";")
		s.run(ctx, text)
	}
	if strings.TrimSpace(rest) == "" {
		rest = ""
	}
	return rest, nil
}

// habits are what people type who know another prompt.
var habits = map[string]string{
	"help": ".help", "?": ".help", `\?`: ".help", `\h`: ".help", "quit": ".quit", "exit": ".quit", `\q`: ".quit",
	`\d`: ".tables", `\dt`: ".tables", `\dv`: ".tables",
}

// dotCommand is the command that a line is, or "" where it is SQL.
func dotCommand(line string) string {
	line = strings.TrimSuffix(strings.TrimSpace(line), ";")
	if table, ok := strings.CutPrefix(line, `\d `); ok {
		return ".schema " + table
	}
	if command := habits[strings.ToLower(line)]; command != "" {
		return command
	}
	if strings.HasPrefix(line, ".") {
		return line
	}
	return ""
}

// run answers one statement.
func (s session) run(ctx context.Context, text string) {
	if strings.TrimSpace(text) != "" {
		s.answer(ctx, Request{SQL: text})
	}
}

// answer writes an answer, or why there is none; SIGINT ends it.
func (s session) answer(ctx context.Context, r Request) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	r.Form, r.Width = Text, s.width
	err := s.answerer.Answer(ctx, s.out, r)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(s.out, "stopped")
	case err != nil:
		fmt.Fprintln(s.out, err)
	}
}

func (s session) command(ctx context.Context, line string) error {
	name, argument, _ := strings.Cut(line, " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case ".quit", ".exit", ".q":
		return errEnd
	case ".tables":
		s.run(ctx, "select table_name as name, table_type as kind from information_schema.tables order by name")
	case ".schema":
		s.schema(ctx, argument)
	case ".ask":
		s.ask(ctx, argument)
	case ".help":
		fmt.Fprint(s.out, help)
	default:
		fmt.Fprintf(s.out, "no command %s; .help lists them\n", name)
	}
	return nil
}

func (s session) schema(ctx context.Context, table string) {
	where := ""
	if table != "" {
		where = " where lower(table_name) = lower(" + quote(table) + ")"
	}
	s.run(ctx, "select table_name as view, column_name as column, data_type as type from information_schema.columns"+where+" order by table_name, ordinal_position")
}

func (s session) ask(ctx context.Context, name string) {
	if name != "" {
		s.answer(ctx, Request{Ask: name})
		return
	}
	for _, q := range Questions() {
		fmt.Fprintf(s.out, "%-22s %s\n", q.Name, q.Title)
	}
}

// TerminalWidth is the width to Render a table with: that of the terminal that
// out is, 0 where it is none.
func TerminalWidth(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// plainLines reads from what is no terminal, such as a pipe, without prompts.
type plainLines struct{ r *bufio.Reader }

func (p plainLines) read(string) (string, error) {
	line, err := p.r.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimSuffix(line, "\n"), err
}

func (p plainLines) remember(string) {}
func (p plainLines) close() error    { return nil }

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
