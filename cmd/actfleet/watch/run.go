package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	_ "actfleet/cmd/actfleet/watch/background" // before bubbletea
)

// Screen shows the Source on a terminal until the run is complete, a key ends it or ctx does.
// It returns the error of the first Frame, and the context's.
func Screen(ctx context.Context, terminal *os.File, next Source) error {
	first, err := next(ctx)
	if err != nil {
		return err
	}
	if !first.complete() {
		m := newModel(first, lipgloss.NewRenderer(terminal), ask(ctx, next))
		end, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(terminal), tea.WithAltScreen(), tea.WithoutSignalHandler()).Run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("show the run: %w", err)
		}
		last := end.(model)
		if first = last.frame; errors.Is(last.fault, ErrOver) {
			return last.fault
		}
	}
	_, err = fmt.Fprintln(terminal, first.Summary())
	return err
}

// ask polls the Source.
func ask(ctx context.Context, next Source) tea.Cmd {
	return func() tea.Msg { return poll(ctx, next) }
}

func poll(ctx context.Context, next Source) polled {
	began := time.Now()
	f, err := next(ctx)
	return polled{frame: f, took: time.Since(began), err: err}
}

// Lines writes a line whenever a unit is committed, a long one has come some way, a node comes or goes, or the Source
// begins to fail, until the run is complete or ctx ends.
func Lines(ctx context.Context, out io.Writer, next Source) error {
	last := ""
	for {
		p := poll(ctx, next)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(p.err, ErrOver), p.err != nil && last == "":
			return p.err
		}
		if line, key := p.line(); key != last {
			fmt.Fprintln(out, line)
			last = key
		}
		if p.err == nil && p.frame.complete() {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause(p.took)):
		}
	}
}

// lineParts is how many lines a run of one long unit has.
const lineParts = 20

// line is what to write, and what of it makes it worth writing.
func (p polled) line() (line, key string) {
	if p.err != nil {
		return "no news: " + p.err.Error(), p.err.Error()
	}
	return p.frame.Summary(), fmt.Sprint(p.frame.Done, len(p.frame.live()), int(p.frame.Part()*lineParts))
}
