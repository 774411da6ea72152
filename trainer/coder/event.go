package coder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"actfleet/internal/outfile"
	"actfleet/internal/smallfile"
)

// Event is a line of metrics.jsonl: what was measured after a step.
type Event struct {
	Step              int                // optimizer steps so far
	Total             int                // of the training; not in the file
	Rows              int64              // rows so far; "tokens" in the file
	Seconds           float64            // of training, over all its sessions
	DataWaitFraction  float64            // share of Seconds that was spent waiting for data; "starved" in the file
	AllReduceFraction float64            // share of Seconds that went into all-reduces over several ranks; "summed" in the file
	Split             string             // train: of the step's rows; eval: of held-out rows
	Values            map[string]float64 // loss, fvu, … under their own names
	Density           *Histogram         // of an autoencoder's latents on held-out rows; only in event files
}

// MarshalJSON writes the values beside the fixed keys.
func (e Event) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for k, v := range e.Values {
		out[k] = orNull(v)
	}
	maps.Copy(out, map[string]any{"step": e.Step, "tokens": e.Rows, "seconds": round3(e.Seconds), "starved": round3(e.DataWaitFraction), "split": e.Split})
	if e.AllReduceFraction > 0 {
		out["summed"] = round3(e.AllReduceFraction)
	}
	return json.Marshal(out)
}

func round3(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }

// MaxEvents bounds metrics.jsonl.
const MaxEvents = 256 << 20

// ReadEvents reads the lines of a metrics.jsonl; a missing one has none. A line that is no event, such as one that is
// being written, is left out.
func ReadEvents(path string) ([]Event, error) {
	text, err := smallfile.Read(path, MaxEvents)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return ParseEvents(text), err
}

// ParseEvents is ReadEvents of what was read.
func ParseEvents(text []byte) (out []Event) {
	for line := range bytes.Lines(text) {
		var e Event
		if json.Unmarshal(line, &e) == nil && e.Step >= 0 && e.Rows >= 0 {
			out = append(out, e)
		}
	}
	return out
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Event) UnmarshalJSON(text []byte) error {
	var fixed struct {
		Step                     int
		Tokens                   int64
		Seconds, Starved, Summed float64
		Split                    string
	}
	var all map[string]any
	if err := errors.Join(json.Unmarshal(text, &fixed), json.Unmarshal(text, &all)); err != nil {
		return err
	}
	*e = Event{Step: fixed.Step, Rows: fixed.Tokens, Seconds: fixed.Seconds, DataWaitFraction: fixed.Starved, AllReduceFraction: fixed.Summed,
		Split: fixed.Split, Values: map[string]float64{}}
	for _, key := range []string{"step", "tokens", "seconds", "starved", "summed", "split"} {
		delete(all, key)
	}
	for key, v := range all {
		if v, ok := v.(float64); ok {
			e.Values[key] = v
		}
	}
	return nil
}

// AppendEvent adds a line to metrics.jsonl.
func AppendEvent(dir string, e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("step %d: metrics: %w", e.Step, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// TruncateEvents drops the lines after a step, a last line cut short, and the final
// evaluation after step total, which the end of the training writes anew: so a
// resumed training reports nothing twice.
func TruncateEvents(dir string, step, total int) error {
	path := filepath.Join(dir, MetricsFile)
	text, err := smallfile.Read(path, MaxEvents)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var kept []byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var e struct {
			Step  *int
			Split string
		}
		ok := json.Unmarshal(lines.Bytes(), &e) == nil && e.Step != nil && *e.Step <= step
		if ok && !(e.Split == "eval" && *e.Step >= total) {
			kept = append(append(kept, lines.Bytes()...), '\n')
		}
	}
	if bytes.Equal(kept, text) {
		return nil
	}
	return outfile.Replace(path, kept)
}

// WriteEvents replaces metrics.jsonl by lines as it held them before.
func WriteEvents(dir string, lines []byte) error {
	return outfile.Replace(filepath.Join(dir, MetricsFile), lines)
}
