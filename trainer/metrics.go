package trainer

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
)

// Event is a line of metrics.jsonl: what was measured after a step.
type Event struct {
	Step    int                // optimizer steps so far
	Total   int                // of the training; not in the file
	Rows    int64              // rows so far; "tokens" in the file
	Seconds float64            // of training, over all its sessions
	Starved float64            // share of Seconds that was spent waiting for data
	Split   string             // train: of the step's rows; eval: of held-out rows
	Values  map[string]float64 // loss, fvu, … under their own names
}

// MarshalJSON writes the values beside the fixed keys.
func (e Event) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for k, v := range e.Values {
		out[k] = v
	}
	maps.Copy(out, map[string]any{"step": e.Step, "tokens": e.Rows, "seconds": round3(e.Seconds), "starved": round3(e.Starved), "split": e.Split})
	return json.Marshal(out)
}

func round3(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }

// appendEvent adds a line to metrics.jsonl.
func appendEvent(dir string, e Event) error {
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

// truncateEvents drops the lines after a step, a last line cut short, and the final
// evaluation after step total, which the end of the training writes anew: so a
// resumed training reports nothing twice.
func truncateEvents(dir string, step, total int) error {
	path := filepath.Join(dir, MetricsFile)
	text, err := os.ReadFile(path)
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
	return writeFile(path, kept)
}
