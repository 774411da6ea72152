package worker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

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
