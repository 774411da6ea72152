package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
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

// process is a worker that runs.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	said    beginning // on standard error
	scratch scratch

	mu       sync.Mutex
	answered int         // the last request that has an end; 0 before the runs are open
	last     *time.Timer // ends the process, once a question was cancelled
}

// start starts a worker with a scratch folder of its own.
func start(command func(scratch string) *exec.Cmd) (*process, error) {
	room, err := makeScratch()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: command(room.dir), scratch: room}
	p.cmd.Stderr = &p.said
	p.cmd.ExtraFiles = []*os.File{room.lock}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is its owner's
	in, errIn := p.cmd.StdinPipe()
	out, errOut := p.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, errors.Join(err, room.remove())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the worker: %w", errors.Join(err, room.remove()))
	}
	p.in, p.out = in, bufio.NewReader(out)
	return p, nil
}

// order sends a line.
func (p *process) order(o order) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.NewEncoder(p.in).Encode(o)
}

// next reads a frame.
func (p *process) next() (f frame, err error) {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(line, &f)
}

// cancel ends a request that has no end yet: kindly first, so that temporary tables stay.
func (p *process) cancel(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.answered >= id:
	case p.answered == 0 || json.NewEncoder(p.in).Encode(order{ID: id, Cancel: true}) != nil:
		p.kill()
	default:
		p.last = time.AfterFunc(grace, p.kill)
	}
}

// settle notes that a request has its end.
func (p *process) settle(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = id
	if p.last != nil {
		p.last.Stop()
	}
}

// kill ends the process at once; it may have ended before.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// end waits for the end of the process, which the end of its input tells it, and removes its folder.
func (p *process) end() error {
	patience := time.AfterFunc(2*grace, p.kill)
	defer patience.Stop()
	_ = p.in.Close()
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
	return p.scratch.remove()
}

// beginning keeps the first bytes of what is written to it.
type beginning struct {
	mu   sync.Mutex
	text []byte
}

func (b *beginning) Write(p []byte) (int, error) {
	const most = 4096
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), most-len(b.text))]...)
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
