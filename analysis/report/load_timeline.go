package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"actfleet/shard/run"
	"actfleet/shard/store"
)

// logLine is one line of RUN/log/<node>-<start>.jsonl.
type logLine struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // start, claim, commit, lost, drop, leave, error
	Node    string    `json:"node"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Unit    int       `json:"unit"`
	Rows    int64     `json:"rows"`
	Bytes   int64     `json:"bytes"`
	Seconds float64   `json:"seconds"`
	Msg     string    `json:"msg"` // of lost: begins with "duplicate" when the bytes were the same
}

// Bounds on logs, which other programs may have written to: a node that works
// for a month on units of a second writes half of the first.
const (
	maxLogBytes = 1 << 30
	maxNodes    = 10_000
)

// LoadTimeline reads the logs of a run. Lines that are not whole, such as the
// last one of a killed node, are counted in Skipped. A run without logs has no
// nodes.
func LoadTimeline(ctx context.Context, st store.Store) (Fleet, error) {
	f := Fleet{Name: runName(st)}
	infos, err := st.List(ctx, "log/")
	if err != nil {
		return f, fmt.Errorf("list logs of %s: %w", st, err)
	}
	infos = slices.DeleteFunc(infos, func(i store.Info) bool { return !strings.HasSuffix(i.Key, ".jsonl") })
	for len(infos) > 0 && len(f.Nodes) < maxNodes {
		key := run.LogOf(infos[0].Key)
		n := slices.IndexFunc(infos, func(i store.Info) bool { return run.LogOf(i.Key) != key })
		if n < 0 {
			n = len(infos)
		}
		data, err := readLog(ctx, st, infos[:n])
		if err != nil {
			return f, fmt.Errorf("read log: %w", err)
		}
		infos = infos[n:]
		node, skipped := parseLog(data)
		f.Skipped += skipped
		if node.Start.IsZero() {
			continue
		}
		if node.Name == "" {
			node.Name = strings.TrimSuffix(path.Base(key), ".jsonl")
		}
		f.Nodes = append(f.Nodes, node)
	}
	slices.SortStableFunc(f.Nodes, func(a, b Node) int {
		return cmp.Or(natural(a.Name, b.Name), a.Start.Compare(b.Start))
	})
	return f, nil
}

// readLog reads one log, which in a bucket has pieces.
func readLog(ctx context.Context, run store.Store, pieces []store.Info) (log []byte, err error) {
	for _, piece := range pieces {
		data, err := store.Get(ctx, run, piece.Key, maxLogBytes-int64(len(log)))
		if err != nil {
			return nil, err
		}
		log = append(log, data...)
	}
	return log, nil
}

func parseLog(data []byte) (n Node, skipped int) {
	open := map[int]Span{}
	for line := range bytes.Lines(data) {
		var l logLine
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &l); err != nil || l.Time.Year() < 2000 || l.Time.Year() > 9999 {
			skipped++
			continue
		}
		n.seen(l)
		n.apply(l, open)
	}
	for _, s := range open {
		s.End, s.Outcome = n.End, Unfinished
		n.Spans = append(n.Spans, s)
	}
	slices.SortStableFunc(n.Spans, func(a, b Span) int { return cmp.Or(a.Start.Compare(b.Start), a.Unit-b.Unit) })
	return n, skipped
}

func (n *Node) seen(l logLine) {
	n.Name, n.Host, n.PID = cmp.Or(n.Name, l.Node), cmp.Or(n.Host, l.Host), cmp.Or(n.PID, l.PID)
	if n.Start.IsZero() || l.Time.Before(n.Start) {
		n.Start = l.Time
	}
	if l.Time.After(n.End) {
		n.End = l.Time
	}
}

func (n *Node) apply(l logLine, open map[int]Span) {
	switch l.Event {
	case "claim":
		open[l.Unit] = Span{Unit: l.Unit, Start: l.Time}
	case "commit":
		n.finish(l, Won, open)
	case "lost":
		outcome := Lost
		if strings.HasPrefix(l.Msg, "duplicate") {
			outcome = Duplicate
		}
		n.finish(l, outcome, open)
	case "drop", "overtaken":
		n.finish(l, Dropped, open)
	case "leave":
		n.Left = true
	case "error":
		n.Error = l.Msg
	}
}

// finish closes the span of a unit; one whose claim is missing began as many
// seconds ago as the line says.
func (n *Node) finish(l logLine, outcome Outcome, open map[int]Span) {
	s, ok := open[l.Unit]
	if !ok {
		d := time.Duration(min(max(l.Seconds, 0), 1e6) * float64(time.Second))
		s = Span{Unit: l.Unit, Start: l.Time.Add(-d)}
		if s.Start.Before(n.Start) {
			n.Start = s.Start
		}
	}
	delete(open, l.Unit)
	s.End, s.Outcome, s.Rows, s.Bytes, s.Seconds = l.Time, outcome, l.Rows, l.Bytes, l.Seconds
	if s.End.Before(s.Start) {
		s.End = s.Start
	}
	n.Spans = append(n.Spans, s)
}
