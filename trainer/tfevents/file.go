package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"actfleet/internal/smallfile"
)

// Prefix begins the name of every event file: TensorBoard looks for it.
const Prefix = "events.out.tfevents."

const version = "brain.Event:2"

// Writer appends events to a file of its own in a folder.
type Writer struct{ path string }

// Create begins a file in a folder, whose events follow on those of step before. Its name
// sorts after those of the files there, as TensorBoard reads them in that order.
func Create(dir string, now time.Time, host string, before int) (*Writer, error) {
	there, err := Files(dir)
	if err != nil {
		return nil, err
	}
	second := now.Unix()
	for _, path := range there {
		var other int64
		if n, _ := fmt.Sscanf(filepath.Base(path), Prefix+"%d", &other); n == 1 {
			second = max(second, other+1)
		}
	}
	w := &Writer{path: filepath.Join(dir, fmt.Sprintf("%s%010d.%s", Prefix, second, strings.ReplaceAll(host, "/", "_")))}
	return w, w.Append(Event{Time: now, Version: version}, Event{Time: now, Step: int64(before) + 1, Start: true})
}

// Append adds events in one write.
func (w *Writer) Append(events ...Event) error {
	var text []byte
	for _, e := range events {
		text = appendRecord(text, e.encode())
	}
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Files are the event files of a folder in the order TensorBoard reads them.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), Prefix) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// maxFile bounds an event file that is read.
const maxFile = 1 << 30

// Read reads a file up to its end or to a record that is cut short, as the last one of a
// process that was killed.
func Read(path string) (events []Event, err error) {
	_, err = scan(path, func(e Event) bool {
		events = append(events, e)
		return true
	})
	return events, err
}

// scan gives events to keep until it returns false, and returns the bytes of the kept.
func scan(path string, keep func(Event) bool) (kept int64, err error) {
	text, err := smallfile.Read(path, maxFile)
	if err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	for rest := text; ; kept = int64(len(text) - len(rest)) {
		var data []byte
		var ok bool
		if data, rest, ok = nextRecord(rest); !ok {
			return kept, nil
		}
		e, err := decode(data)
		if err != nil {
			return kept, fmt.Errorf("%s: %w", path, err)
		}
		if kept == 0 && !strings.HasPrefix(e.Version, "brain.Event:") {
			return 0, fmt.Errorf("%s: %w: it does not begin with a version", path, ErrCorrupt)
		}
		if !keep(e) {
			return kept, nil
		}
	}
}

// Cut shortens each event file of a folder to what comes before the first event with
// values that unwanted tells, and removes those that hold no values then.
func Cut(dir string, unwanted func(Event) bool) error {
	paths, err := Files(dir)
	var errs []error
	for _, path := range paths {
		values := 0
		size, err := scan(path, func(e Event) bool {
			if len(e.Values) > 0 && unwanted(e) {
				return false
			}
			values += len(e.Values)
			return true
		})
		switch {
		case errors.Is(err, ErrCorrupt): // not ours to change
		case err != nil:
			errs = append(errs, err)
		case values == 0:
			errs = append(errs, os.Remove(path))
		default:
			errs = append(errs, os.Truncate(path, size))
		}
	}
	return errors.Join(append(errs, err)...)
}

func floats(b []byte) (out []float64) {
	for ; len(b) >= 8; b = b[8:] {
		out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return out
}
