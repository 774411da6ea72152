package gossip

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logBridge passes memberlist's lines to slog at Debug, and counts what they alone
// tell.
type logBridge struct {
	to      *slog.Logger
	refuted atomic.Int64
	secret  atomic.Bool
}

// logger returns the logger to give to memberlist.
func (l *logBridge) logger() *log.Logger { return log.New(l, "", 0) }

// Write takes one line.
func (l *logBridge) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Refuting a")) {
		l.refuted.Add(1)
	}
	text := firstLine(string(line))
	own := strings.Contains(text, "failed to join") // a try of this node, whose error is returned
	if isSecretError(text) && !own && l.secret.CompareAndSwap(false, true) {
		l.to.Warn("somebody with another secret tried to talk to this node", "detail", text)
	}
	l.to.Log(context.Background(), slog.LevelDebug, text)
	return len(line), nil
}
