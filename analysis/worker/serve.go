package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"actfleet/analysis"
	"actfleet/internal/memlimit"
)

// order is a line from the owner.
type order struct {
	ID      int              `json:"id"`
	Request analysis.Request `json:"request"`
	Cancel  bool             `json:"cancel,omitempty"` // the request of this ID
}

// frame is a line from the worker.
type frame struct {
	Data  int    `json:"data,omitempty"` // so many bytes of the answer follow
	Note  string `json:"note,omitempty"`
	Total int64  `json:"total,omitempty"` // bytes that the question fetches of a store, Done of them so far
	Done  int64  `json:"done,omitempty"`
	Held  int64  `json:"held,omitempty"` // bytes fetched by all questions so far, of Size
	Size  int64  `json:"size,omitempty"`
	End   bool   `json:"end,omitempty"` // of an answer, or of the start
	Error string `json:"error,omitempty"`
}

// overhead is what a worker takes besides what it holds for a question: stacks of threads, Go's own.
const overhead = 128 << 20

// grace is how long a question that is cancelled may go on before its process is ended.
const grace = 2 * time.Second

// Serve is the worker: it opens a database, answers what Start's process asks on in, and returns when that ends. memory
// bounds what this process allocates from here on, 0 does not; scratch is removed at the end.
func Serve(in io.Reader, out io.Writer, memory int64, scratch string, open func(context.Context) (*analysis.DB, error)) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	signal.Ignore(syscall.SIGPIPE) // the owner may be gone, and there is scratch to remove
	if memory > 0 {
		if err := memlimit.Bound(memory + overhead); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &server{out: bufio.NewWriter(out), jobs: make(chan job, 1)}
	go s.listen(ctx, cancel, json.NewDecoder(in), scratch)
	db, err := open(ctx)
	if err != nil {
		return s.send(frame{End: true, Error: err.Error()}, nil)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.Progress = func(done, total int64) {
		_ = s.send(frame{Done: done, Total: total, Held: db.Fetched(), Size: db.Size()}, nil) // the answer fails if this does
	}
	for _, note := range db.Notes {
		if err := s.send(frame{Note: note}, nil); err != nil {
			return err
		}
	}
	err = s.send(frame{End: true}, nil)
	for err == nil {
		j, ok := <-s.jobs
		if !ok {
			return nil
		}
		err = s.answer(db, j)
	}
	return err
}

// server is a worker at work.
type server struct {
	jobs chan job

	mu      sync.Mutex
	out     *bufio.Writer
	current job
}

// job is a request with what ends it.
type job struct {
	order
	ctx    context.Context
	cancel context.CancelFunc
}

// listen takes orders until the owner's end, which ends the process too, in the middle of a question if need be.
func (s *server) listen(ctx context.Context, cancel context.CancelFunc, in *json.Decoder, scratch string) {
	for {
		var o order
		if in.Decode(&o) != nil {
			break
		}
		s.mu.Lock()
		switch {
		case !o.Cancel:
			s.current = job{order: o}
			s.current.ctx, s.current.cancel = context.WithCancel(ctx)
			s.jobs <- s.current // the owner waits for each answer
		case o.ID == s.current.ID && s.current.cancel != nil:
			s.current.cancel()
		}
		s.mu.Unlock()
	}
	cancel()
	close(s.jobs)
	time.Sleep(grace) // DuckDB has loops that hear no interrupt
	_ = os.RemoveAll(scratch)
	os.Exit(1)
}

func (s *server) answer(db *analysis.DB, j job) error {
	defer j.cancel()
	w := bufio.NewWriterSize(answerWriter{s}, 64<<10)
	end := frame{End: true}
	if err := errors.Join(db.Answer(j.ctx, w, j.Request), w.Flush()); err != nil {
		end.Error = err.Error()
	}
	return s.send(end, nil)
}

// answerWriter sends parts of an answer.
type answerWriter struct{ s *server }

func (w answerWriter) Write(b []byte) (int, error) {
	return len(b), w.s.send(frame{Data: len(b)}, b)
}

func (s *server) send(f frame, data []byte) error {
	head, err := json.Marshal(f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.out.Write(append(head, '\n')) // a bufio.Writer keeps its error
	_, _ = s.out.Write(data)
	return s.out.Flush()
}
