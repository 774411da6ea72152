package sandbox

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
)

// patience is how long a template may take to be read, and then for each conversation. Those of much used checkpoints
// take less than a millisecond.
const patience = 20 * time.Second

// Renderer renders conversations with one template. Its methods may be called by several goroutines at once.
type Renderer struct {
	command  func() *exec.Cmd
	source   chat.Source
	patience time.Duration

	mu    sync.Mutex
	child *child // nil: not started yet
	err   error  // what ended the child, for good
}

// New returns a renderer, whose child command starts when it is first asked for something.
func New(source chat.Source, command func() *exec.Cmd) *Renderer {
	return &Renderer{command: command, source: source, patience: patience}
}

// Render writes a conversation as the model reads it; see chat.Template. Errors are chat.ErrTemplate, or say that there
// is no child. After a template has ended its child, every further Render returns the same error.
func (r *Renderer) Render(messages []dataset.Message) (string, error) {
	a, err := r.request(request{Messages: messages})
	return a.Text, err
}

// Said is Render, and where the text holds what a role said; see chat.Template.
func (r *Renderer) Said(messages []dataset.Message, role string) (string, []dataset.Said, error) {
	a, err := r.request(request{Messages: messages, Role: role})
	return a.Text, a.Said, err
}

func (r *Renderer) request(what request) (reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child == nil && r.err == nil {
		r.start()
	}
	if r.err != nil {
		return reply{}, r.err
	}
	return r.ask(what)
}

// Close ends the child.
func (r *Renderer) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(errors.New("chat template: its renderer is closed"))
	return nil
}

// start starts the child and gives it the template.
func (r *Renderer) start() {
	var err error
	if r.child, err = launch(r.command()); err != nil {
		r.err = err
		return
	}
	if _, err := r.ask(r.source); err != nil {
		r.end(err)
	}
}

// ask sends one thing and waits for the reply to it. A child that does not answer, or not in time, is ended.
func (r *Renderer) ask(what any) (reply, error) {
	late := time.AfterFunc(r.patience, r.child.kill)
	err := r.child.to.Encode(what)
	var answer reply
	if err == nil {
		err = r.child.from.Decode(&answer)
	}
	switch inTime := late.Stop(); {
	case !inTime:
		r.end(fmt.Errorf("%w: it does not come to an end: given up after %s", chat.ErrTemplate, r.patience))
		return reply{}, r.err
	case err != nil:
		c := r.child
		r.end(nil)
		r.err = c.fault()
		return reply{}, r.err
	case answer.Error != "":
		return reply{}, fmt.Errorf("%w%s", chat.ErrTemplate, strings.TrimPrefix(answer.Error, chat.ErrTemplate.Error()))
	}
	return answer, nil
}

// end ends the child, if there is one; why is what is said from now on.
func (r *Renderer) end(why error) {
	if r.child != nil {
		r.child.kill()
		r.child.wait()
		r.child = nil
	}
	if r.err == nil {
		r.err = why
	}
}

// child is the process that renders.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer
	to   *gob.Encoder
	from *gob.Decoder
	said *head // on stderr
}

func launch(cmd *exec.Cmd) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the process that renders chat templates: %w", err)
	}
	said := new(head)
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the process that renders chat templates: %w", err)
	}
	return &child{cmd: cmd, in: in, to: gob.NewEncoder(in), from: gob.NewDecoder(bufio.NewReader(out)), said: said}, nil
}

// kill ends the process; one that has ended already is what is wanted.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

// wait waits for the end of the process, which was killed.
func (c *child) wait() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

// fault is why the process ended, after wait.
func (c *child) fault() error {
	said := string(*c.said)
	switch {
	case strings.Contains(said, "stack overflow"):
		return fmt.Errorf("%w: it calls itself without end, or nests too deeply", chat.ErrTemplate)
	case strings.Contains(said, "out of memory"), strings.Contains(said, "cannot allocate memory"), strings.Contains(said, "failed to allocate"):
		return fmt.Errorf("%w: it needs more than %d MB", chat.ErrTemplate, maxMemory>>20)
	}
	line, _, _ := strings.Cut(said, "\n")
	return fmt.Errorf("the process that renders chat templates has ended: %v: %s", c.cmd.ProcessState, line)
}

// head keeps the beginning of what is written.
type head []byte

func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), 4096-len(*h))]...)
	return len(b), nil
}
