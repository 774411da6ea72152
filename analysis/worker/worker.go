package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"actfleet/analysis"
)

// Config says how a worker is started and what it may do.
type Config struct {
	// Command is the program again, with the hidden command that calls Serve and this scratch folder.
	Command func(scratch string) *exec.Cmd
	Timeout time.Duration // of one answer; 0 is none
	Memory  string        // the bound, for people; Command passes it on to Serve
	Note    func(note string)
	// Progress is told how much of what a question needs is fetched, and of all shards so far.
	Progress func(done, total, held, size int64)
}

// Worker answers one question at a time.
type Worker struct {
	cfg     Config
	process *process // nil: it died
	noted   bool     // the notes of the runs were told
	id      int
}

// Start starts a worker and waits until its runs are open.
func Start(ctx context.Context, cfg Config) (*Worker, error) {
	sweep()
	w := &Worker{cfg: cfg}
	if err := w.launch(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Worker) launch(ctx context.Context) error {
	p, err := start(w.cfg.Command)
	if err != nil {
		return err
	}
	w.id++
	w.process = p
	if err = w.await(ctx, io.Discard); err != nil {
		return errors.Join(err, w.Close())
	}
	w.noted = true
	return nil
}

// errTimeout ends a question that takes too long.
var errTimeout = errors.New("time-out")

// Answer writes the answer to a request. A worker that died is started anew.
func (w *Worker) Answer(ctx context.Context, out io.Writer, r analysis.Request) error {
	if w.process == nil {
		if err := w.launch(ctx); err != nil {
			return err
		}
	}
	within := ctx
	if w.cfg.Timeout > 0 {
		timed, stop := context.WithTimeoutCause(ctx, w.cfg.Timeout, errTimeout)
		defer stop()
		within = timed
	}
	w.id++
	if err := w.process.order(order{ID: w.id, Request: r}); err != nil {
		return w.died(ctx)
	}
	err := w.await(within, out)
	if err != nil && ctx.Err() == nil && context.Cause(within) == errTimeout {
		return fmt.Errorf("no answer within %s: ask for less, or allow more time", w.cfg.Timeout)
	}
	return err
}

// await passes on what the worker sends until the end of an answer.
func (w *Worker) await(ctx context.Context, out io.Writer) error {
	p, id := w.process, w.id
	defer context.AfterFunc(ctx, func() { p.cancel(id) })()
	defer p.settle(id)
	for {
		f, err := p.next()
		if err != nil {
			return w.died(ctx)
		}
		switch {
		case f.End:
			return w.outcome(ctx, f.Error)
		case f.Data > 0:
			if _, err := io.CopyN(out, p.out, int64(f.Data)); err != nil {
				p.kill()
				if died := w.died(ctx); errors.Is(err, io.EOF) {
					return died
				}
				return err
			}
		case f.Note != "" && !w.noted:
			w.cfg.Note(f.Note)
		case f.Total > 0:
			w.cfg.Progress(f.Done, f.Total, f.Held, f.Size)
		}
	}
}

// outcome is what an answer ended with.
func (w *Worker) outcome(ctx context.Context, text string) error {
	switch {
	case text == "":
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.HasPrefix(text, analysis.ErrMemory.Error()):
		return w.tooMuch()
	}
	return errors.New(text)
}

func (w *Worker) tooMuch() error {
	return fmt.Errorf("%w, %s: ask for fewer rows or columns, or raise --memory", analysis.ErrMemory, w.cfg.Memory)
}

// died clears up after a worker that is gone and says why.
func (w *Worker) died(ctx context.Context) error {
	p := w.process
	w.process = nil
	if err := p.end(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := p.said.String()
	for _, sign := range []string{"out of memory", "annot allocate memory", "bad_alloc", "failed to create new OS thread"} {
		if strings.Contains(said, sign) {
			return w.tooMuch()
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	return fmt.Errorf("the process of the question died (%s) %s", p.cmd.ProcessState, line)
}

// Close ends the worker.
func (w *Worker) Close() error {
	if w.process == nil {
		return nil
	}
	p := w.process
	w.process = nil
	return p.end()
}
