package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"actfleet/analysis/evaluate"
)

const (
	maxConfigBytes  = 4 << 20
	maxMetricsBytes = 256 << 20
)

// coderConfig is the part of a coder's cfg.json that the report shows.
type coderConfig struct {
	Kind  string `json:"kind"`
	Arch  string `json:"arch"`
	Site  string `json:"site"`
	Layer int    `json:"layer"`
	Width int    `json:"width"`
	DIn   int    `json:"d_in"`
}

// LoadCurves reads cfg.json, metrics.jsonl and eval.json of a coder's folder. Steps that a
// resumed training repeated appear once, as they were last written. A folder
// without metrics yet has no points, one that was not evaluated no Eval.
func LoadCurves(dir string) (Coder, error) {
	path := filepath.Join(dir, "cfg.json")
	data, err := readBounded(path, maxConfigBytes)
	if err != nil {
		return Coder{}, fmt.Errorf("read coder: %w", err)
	}
	var cfg coderConfig
	if err := json.Unmarshal(data, &cfg); err != nil {
		return Coder{}, fmt.Errorf("read %s: %w", path, err)
	}
	c := Coder{Name: baseName(dir), Kind: cfg.Kind, Arch: cfg.Arch, Site: cfg.Site, Layer: cfg.Layer, Width: cfg.Width, DIn: cfg.DIn}
	if c.Eval, err = loadEvaluation(dir); err != nil {
		return Coder{}, err
	}
	path = filepath.Join(dir, "metrics.jsonl")
	data, err = readBounded(path, maxMetricsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return Coder{}, fmt.Errorf("read coder: %w", err)
	}
	c.Points = parseMetrics(data)
	return c, nil
}

// LoadProbes reads results.json of a probe folder.
func LoadProbes(dir string) (Sweep, error) {
	t, err := evaluate.ReadTable(dir)
	if err != nil {
		return Sweep{}, err
	}
	return Sweep{Name: baseName(dir), Table: t}, nil
}

// parseMetrics leaves out what is not a JSON object, such as a line that is
// still being written.
func parseMetrics(data []byte) []Point {
	var points []Point
	for line := range bytes.Lines(data) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) != nil {
			continue
		}
		p := Point{Values: map[string]float64{}}
		p.Eval = fields["split"] == "eval"
		for key, v := range fields {
			number, ok := v.(float64)
			switch {
			case !ok:
			case key == "step":
				p.Step = count(number)
			case key == "tokens":
				p.Tokens = count(number)
			case key == "seconds":
				p.Seconds = number
			default:
				p.Values[key] = number
			}
		}
		points = append(rewind(points, p), p)
	}
	return points
}

// count is a number of steps or tokens; none is below zero or beyond 2⁵³.
func count(v float64) int64 { return int64(min(max(v, 0), 1<<53)) }

// rewind drops the points that a training resumed before p had written at or
// beyond p's step.
func rewind(points []Point, p Point) []Point {
	keep := len(points)
	for i := len(points) - 1; i >= 0 && points[i].Step >= p.Step; i-- {
		if points[i].Step > p.Step || points[i].Eval == p.Eval {
			keep = i
		}
	}
	return points[:keep]
}

func baseName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: more than %s", path, size(limit))
	}
	return data, nil
}
