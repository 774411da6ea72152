package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Bounds of what is taken from an eval.json.
const (
	maxEvalBytes = 64 << 20
	maxBins      = 128
	maxContexts  = 8
	maxTextRunes = 240
)

// Evaluation is what eval measured of a coder.
type Evaluation struct {
	Heldout   bool               `json:"heldout"` // on rows that training never saw
	Metrics   map[string]float64 `json:"metrics"`
	Densities *Histogram         `json:"densities"`
	Latents   []Latent           `json:"latents"` // by falling density
}

// Histogram counts latents by log10 of the share of rows they fire on.
type Histogram struct {
	Dead  int     `json:"dead"`  // latents that never fired, in no bin
	From  float64 `json:"from"`  // lower end of the first bin
	Width float64 `json:"width"` // of a bin, in decades
	Count []int   `json:"count"`
}

// Latent is what a latent responds to.
type Latent struct {
	Index   int       `json:"index"`
	Density float64   `json:"density"`
	Top     []Context `json:"top"` // by falling value
}

// Context is a row on which a latent is active, with the text around its token.
type Context struct {
	Value  float64 `json:"value"`
	Row    int64   `json:"row"`
	Pos    int32   `json:"pos"`
	Before string  `json:"before"`
	Token  string  `json:"token"`
	After  string  `json:"after"`
}

// loadEvaluation reads eval.json of a coder's folder, nil where there is none.
func loadEvaluation(dir string) (*Evaluation, error) {
	path := filepath.Join(dir, "eval.json")
	data, err := readBounded(path, maxEvalBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read coder: %w", err)
	}
	e := &Evaluation{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if h := e.Densities; h != nil && (len(h.Count) > maxBins || !(h.Width > 0.01) || !(h.From > -40)) {
		e.Densities = nil
	}
	return e, nil
}

// measure is a number of the evaluation, or of the last line of the training where there is none.
func (c Coder) measure(name string) (float64, bool) {
	if c.Eval != nil {
		if v, ok := c.Eval.Metrics[name]; ok {
			return v, true
		}
	}
	for i := len(c.Points) - 1; i >= 0; i-- {
		if v, ok := c.Points[i].Values[name]; ok && c.Points[i].Eval {
			return v, true
		}
	}
	return 0, false
}
