package collector

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Event is one line of RUN/log/<node>-<start>.jsonl: provenance and timings for people and pictures.
// Events are start, claim, commit, lost (another node was first), drop, leave and error; a node that
// was killed has no leave, and a claim without an end.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Node    string    `json:"node"`
	Host    string    `json:"host,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Unit    *int      `json:"unit,omitempty"`
	Rows    int64     `json:"rows,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"`
	Seconds float64   `json:"seconds,omitempty"` // from claim to commit
	Message string    `json:"msg,omitempty"`
}

// Log writes events as JSON lines.
type Log struct {
	w    io.Writer
	node string
}

// NewLog writes the events of the named node to w, one Write per line.
func NewLog(w io.Writer, node string) *Log { return &Log{w: w, node: node} }

// Write appends one event.
func (l *Log) Write(e Event) error {
	e.Node = l.node
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	_, err = l.w.Write(append(line, '\n'))
	return err
}
