package gossip

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
)

// logBridge passes memberlist's lines to slog at Debug, and counts what they alone
// tell.
type logBridge struct {
	*complaints
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
	switch from, unreadable := unreadable(text); {
	case isSecretError(text):
		if !own && l.secret.CompareAndSwap(false, true) {
			l.log.Warn("somebody with another secret tried to talk to this node", "detail", text)
		}
	case unreadable:
		l.complain(from, errors.New(text))
	}
	l.log.Log(context.Background(), slog.LevelDebug, text)
	return len(line), nil
}

// unreadable recognises, in memberlist's own words (v0.7.0), that it could not read a message, and from which machine.
func unreadable(text string) (from string, ok bool) {
	text, addr, ok := strings.Cut(text, " from=")
	if !ok || !strings.HasPrefix(text, "[ERR]") {
		return "", false
	}
	host, _, err := net.SplitHostPort(strings.TrimSpace(addr))
	if err != nil {
		host = addr
	}
	for _, s := range []string{"to decode", "to decompress", "msgType", "msg type", "message type", "label", "failed to receive", "Failed to receive", "to read remote state"} {
		if strings.Contains(text, s) {
			return host, true
		}
	}
	return "", false
}
