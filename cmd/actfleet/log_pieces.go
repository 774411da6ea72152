package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"actfleet/shard/store"
)

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
	run, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupted command writes on
	p := &pieces{store: st, key: key, stop: stop}
	p.puts.Go(func() { p.putNowAndThen(run) })
	return p
}

// untilPiece is the time to the next piece of a log of some age: a sixteenth of it, so that a kill loses little of a long
// log, and a month makes two hundred pieces.
func untilPiece(age time.Duration) time.Duration { return max(5*time.Second, age/16) }

// putNowAndThen ends with ctx, which close ends. A piece that cannot be put is tried again with the next.
func (p *pieces) putNowAndThen(ctx context.Context) {
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(untilPiece(time.Since(began))):
			_ = p.put(ctx) // close says what could never be put
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

func (p *pieces) close() error {
	p.stop()
	p.puts.Wait()
	ctx, stop := context.WithTimeout(context.Background(), logPatience)
	defer stop()
	if err := p.put(ctx); err != nil {
		return fmt.Errorf("put the log: %w", err)
	}
	return nil
}
