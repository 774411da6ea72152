package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"actfleet/analysis/evaluate"
	"actfleet/trainer/coder"
)

// LoadCoder reads cfg.json, metrics.jsonl and eval.json of a coder's folder. Steps that a
// resumed training repeated appear once, as they were last written. A folder
// without metrics yet has no points, one that was not evaluated no Eval.
func LoadCoder(dir string) (Coder, error) {
	card, err := coder.ReadCard(dir)
	if err != nil {
		return Coder{}, err
	}
	c := Coder{Name: baseName(dir), Kind: card.Kind, Arch: card.Arch, Site: card.Site, Layer: card.Layer, Width: card.Width, DIn: card.DIn}
	if c.Eval, err = loadEvaluation(dir); err != nil {
		return Coder{}, err
	}
	events, err := coder.ReadEvents(filepath.Join(dir, coder.MetricsFile))
	if err != nil {
		return Coder{}, fmt.Errorf("read coder: %w", err)
	}
	for _, e := range events {
		c.Points = append(rewind(c.Points, e), e)
	}
	return c, nil
}

// rewind drops the points that a training resumed before e had written at or
// beyond e's step.
func rewind(points []coder.Event, e coder.Event) []coder.Event {
	keep := len(points)
	for i := len(points) - 1; i >= 0 && points[i].Step >= e.Step; i-- {
		if points[i].Step > e.Step || points[i].Split == e.Split {
			keep = i
		}
	}
	return points[:keep]
}

const maxBins = 128

// loadEvaluation is nil where a coder was never evaluated, and without a histogram that nobody can draw.
func loadEvaluation(dir string) (*coder.Evaluation, error) {
	e, err := coder.ReadEvaluation(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if h := e.Densities; h != nil && (len(h.Count) > maxBins || !(h.Width > 0.01) || !(h.From > -40)) {
		e.Densities = nil
	}
	return &e, nil
}

// measure is a number of the evaluation, or of the last line of the training where there is none.
func (c Coder) measure(name string) (float64, bool) {
	if c.Eval != nil {
		if v, ok := c.Eval.Metrics[name]; ok {
			return v, true
		}
	}
	for i := len(c.Points) - 1; i >= 0; i-- {
		if v, ok := c.Points[i].Values[name]; ok && c.Points[i].Split == "eval" {
			return v, true
		}
	}
	return 0, false
}

// LoadProbes reads results.json of a probe folder.
func LoadProbes(dir string) (Sweep, error) {
	t, err := evaluate.ReadTable(dir)
	if err != nil {
		return Sweep{}, err
	}
	return Sweep{Name: baseName(dir), Table: t}, nil
}

func baseName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}
