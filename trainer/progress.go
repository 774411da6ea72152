package trainer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// progress is the part of a training's state that is not the learner's.
type progress struct {
	Format           int           `json:"format"`
	Step             int           `json:"step"`
	Rows             int64         `json:"rows"`
	Seconds          float64       `json:"seconds"`
	DataWaitSeconds  float64       `json:"starved_seconds"`
	AllReduceSeconds float64       `json:"summed_seconds,omitempty"`
	Dropped          int64         `json:"dropped"` // rows left out because a value was not finite
	OverNorm         int64         `json:"loud"`    // rows left out because of max_norm
	Sinks            int64         `json:"sinks,omitempty"`
	Seen             int64         `json:"seen,omitempty"` // rows of the first epoch
	Cursor           stream.Cursor `json:"cursor"`
	Card             coder.Card    `json:"coder"`
	SHA256           string        `json:"state_sha256"` // of step-N.safetensors

	// Read are the rows read of each unit of a ring, but of those that were acknowledged.
	Read map[int]run.Tally `json:"read,omitempty"`
}

// errFormat says that a progress is of another version.
var errFormat = errors.New("another format")

// maxProgressBytes bounds step-N.json.
const maxProgressBytes = 32 << 20

// parseProgress is the progress of a step-N.json, its numbers checked.
func parseProgress(text []byte) (p progress, err error) {
	if len(text) > maxProgressBytes {
		return p, fmt.Errorf("%d bytes are more than %d", len(text), maxProgressBytes)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a seed has 64 bits
	if err := d.Decode(&p); err != nil {
		return p, err
	}
	if p.Format != ckptFormat {
		return p, errFormat
	}
	for name, n := range map[string]int64{"step": int64(p.Step), "rows": p.Rows, "dropped": p.Dropped, "loud": p.OverNorm, "sinks": p.Sinks, "seen": p.Seen,
		"cursor.epoch": int64(p.Cursor.Epoch), "cursor.window": int64(p.Cursor.Window), "cursor.offset": int64(p.Cursor.Offset),
		"cursor.span": int64(p.Cursor.Span), "cursor.before": int64(p.Cursor.Before)} {
		if n < 0 || n > maxCounted {
			return p, fmt.Errorf("%s is %d", name, n)
		}
	}
	if !(p.Seconds >= 0 && p.DataWaitSeconds >= 0 && p.AllReduceSeconds >= 0) {
		return p, fmt.Errorf("seconds are %v, of them waiting %v, in all-reduces %v", p.Seconds, p.DataWaitSeconds, p.AllReduceSeconds)
	}
	return p, p.Card.Check()
}

// maxCounted bounds what a training has counted.
const maxCounted = 1 << 53
