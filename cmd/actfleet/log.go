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
	"actfleet/shard"
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

// openLog begins a node's log. In a directory it grows line by line. An object cannot: in a bucket the log is put whole
// when the node leaves, and a node that is killed leaves none.
func openLog(ctx context.Context, st store.Store, run string, node coordinator.NodeID, started time.Time) (*runLog, error) {
	key := shard.LogKey(string(node), started)
	if inBucket(run) {
		return openLogObject(ctx, st, key, node)
	}
	path := filepath.Join(run, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("make the log's directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &runLog{finish: f.Close, log: collector.NewLog(f, string(node))}, nil
}

// logPatience is how long an interrupted node tries to put its log: what stops machines gives them some seconds.
const logPatience = 10 * time.Second

func openLogObject(ctx context.Context, st store.Store, key string, node coordinator.NodeID) (*runLog, error) {
	p, err := st.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	finish := func() error {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), logPatience)
		defer stop()
		if err := p.Commit(ctx); err != nil {
			return fmt.Errorf("put the log: %w", err)
		}
		return nil
	}
	return &runLog{finish: finish, log: collector.NewLog(p, string(node))}, nil
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
