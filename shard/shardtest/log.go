package shardtest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"actfleet/shard/store"
)

// Log is a node's log in the making. Now is the time of its next line.
type Log struct {
	Node string
	Now  time.Time
	data []byte
}

// Say adds a line.
func (l *Log) Say(tb testing.TB, event string, fields map[string]any) {
	tb.Helper()
	line := map[string]any{"time": l.Now, "event": event, "node": l.Node}
	for k, v := range fields {
		line[k] = v
	}
	text, err := json.Marshal(line)
	if err != nil {
		tb.Fatal(err)
	}
	l.data = append(append(l.data, text...), '\n')
}

// Tear ends the log in the middle of a line, as a killed node does.
func (l *Log) Tear() { l.data = append(l.data, `{"time":"2025-11-0`...) }

// Put puts what was said since the last Put under a key.
func (l *Log) Put(tb testing.TB, st store.Store, key string) {
	tb.Helper()
	if err := store.Put(context.Background(), st, key, l.data); err != nil {
		tb.Fatal(err)
	}
	l.data = nil
}
