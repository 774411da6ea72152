package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// runLog is the file a node leaves in RUN/log. A failing disk is reported once, at close: the log is
// for people, and a run must not end because of it.
type runLog struct {
	mu     sync.Mutex
	log    *collector.Log
	finish func() error
	err    error
}

// openLog begins a node's log. In a directory it grows line by line. An object cannot: in a bucket the log is put in
// pieces.
func openLog(ctx context.Context, st store.Store, name string, node coordinator.NodeID, started time.Time) (*runLog, error) {
	if inBucket(name) {
		p := newPieces(ctx, st, func(n int) string { return run.LogPieceKey(string(node), started, n) })
		return &runLog{finish: p.close, log: collector.NewLog(p, string(node))}, nil
	}
	path := filepath.Join(name, filepath.FromSlash(run.LogKey(string(node), started)))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("make the log's directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &runLog{finish: f.Close, log: collector.NewLog(f, string(node))}, nil
}

func (l *runLog) write(e collector.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = l.log.Write(e)
	}
}

func (l *runLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		l.err = fmt.Errorf("write the log: %w", l.err)
	}
	return errors.Join(l.err, l.finish())
}
