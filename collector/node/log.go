package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// runLog is what a node leaves in RUN/log, an event a line. A failing disk is reported once, at close: the log is
// for people, and a run must not end because of it.
type runLog struct {
	node string
	mu   sync.Mutex
	out  io.WriteCloser // gets one Write per line
	err  error
}

// openLog begins a node's log. In a directory it grows line by line. An object cannot: in a bucket, where dir is
// empty, the log is put in pieces.
func openLog(ctx context.Context, st store.Store, dir string, node coordinator.NodeID, started time.Time) (*runLog, error) {
	l := &runLog{node: string(node)}
	if dir == "" {
		l.out = newPieces(ctx, st, func(n int) string { return run.LogPieceKey(l.node, started, n) })
		return l, nil
	}
	path := filepath.Join(dir, filepath.FromSlash(run.LogKey(l.node, started)))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("make the log's directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l.out = f
	return l, nil
}

// write appends an event; after the first error, nothing.
func (l *runLog) write(e collector.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	e.Node = l.node
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	l.err = err
}

func (l *runLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		l.err = fmt.Errorf("write the log: %w", l.err)
	}
	return errors.Join(l.err, l.out.Close())
}

// pieces is a log in a bucket: what was written is put as an object now and then, and the rest when the node leaves. A
// node that is killed loses what came after its last piece.
type pieces struct {
	store store.Store
	key   func(n int) string
	stop  context.CancelFunc
	puts  sync.WaitGroup

	mu  sync.Mutex
	buf bytes.Buffer

	n     int    // pieces that are there
	piece []byte // the next one, once it was tried: it keeps its bytes, so that one that exists is this one
}

// newPieces begins a log whose piece n gets a key.
func newPieces(ctx context.Context, st store.Store, key func(n int) string) *pieces {
	putting, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupted command writes on
	p := &pieces{store: st, key: key, stop: stop}
	p.puts.Go(func() { p.putNowAndThen(putting) })
	return p
}

// untilPiece is the time to the next piece of a log of some age: a sixteenth of it, so that a kill loses little of a long
// log, and a month makes two hundred pieces.
func untilPiece(age time.Duration) time.Duration { return max(5*time.Second, age/16) }

// putNowAndThen ends with ctx, which Close ends. A piece that cannot be put is tried again with the next.
func (p *pieces) putNowAndThen(ctx context.Context) {
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(untilPiece(time.Since(began))):
			_ = p.put(ctx) // Close says what could never be put
		}
	}
}

// Write keeps lines for the next piece.
func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

// next is the piece to put, empty for none.
func (p *pieces) next() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.piece) == 0 {
		p.piece = bytes.Clone(p.buf.Bytes())
		p.buf.Reset()
	}
	return p.piece
}

// put puts all that was written. It is called from one goroutine at a time.
func (p *pieces) put(ctx context.Context) error {
	for piece := p.next(); len(piece) > 0; piece = p.next() {
		if err := store.Put(ctx, p.store, p.key(p.n), piece); err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
		p.n++
		p.piece = nil
	}
	return nil
}

// logPatience is how long an interrupted node tries to put its log: what stops machines gives them some seconds.
const logPatience = 10 * time.Second

// Close puts what is left.
func (p *pieces) Close() error {
	p.stop()
	p.puts.Wait()
	ctx, stop := context.WithTimeout(context.Background(), logPatience)
	defer stop()
	if err := p.put(ctx); err != nil {
		return fmt.Errorf("put the log: %w", err)
	}
	return nil
}
