package coder

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"actfleet/internal/outfile"
	"actfleet/internal/smallfile"
)

// EvalFile is where SaveEvaluation puts an Evaluation, for the report.
const EvalFile = "eval.json"

// Evaluation is what was measured of a coder.
type Evaluation struct {
	PlanIDs   []string          `json:"plan_ids"` // of the runs whose rows were measured
	Heldout   bool              `json:"heldout"`  // rows that training never saw
	Metrics   Metrics           `json:"metrics"`
	Notes     map[string]string `json:"notes,omitempty"` // on a metric: why it is null or missing, or what it does not mean
	Densities *Histogram        `json:"densities,omitempty"`
	Latents   []Latent          `json:"latents,omitempty"`
}

// Histogram counts latents by log10 of their density, in bins of equal width that end at 1.
type Histogram struct {
	Dead  int     `json:"dead"`  // latents that never fired, in no bin
	From  float64 `json:"from"`  // lower end of the first bin, as log10
	Width float64 `json:"width"` // of a bin, in decades
	Count []int   `json:"count"`
}

// Latent is what a latent responds to: the rows on which it is most active, one of a prompt at most.
type Latent struct {
	Index   int       `json:"index"`
	Density float64   `json:"density"`
	Top     []Context `json:"top"`
}

// Context is a row with the text around its token, as far as the run kept the neighbours.
type Context struct {
	Value  float32 `json:"value"`
	Run    int     `json:"run,omitempty"` // index of the run
	Row    int64   `json:"row"`
	Pos    int32   `json:"pos"`
	Before string  `json:"before,omitempty"`
	Token  string  `json:"token"`
	After  string  `json:"after,omitempty"`
}

// SaveEvaluation leaves an Evaluation in the coder's folder.
func SaveEvaluation(dir string, e Evaluation) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return outfile.Replace(filepath.Join(dir, EvalFile), append(text, '\n'))
}

// maxEvaluation bounds eval.json.
const maxEvaluation = 64 << 20

// ReadEvaluation reads eval.json of a folder; fs.ErrNotExist means that the coder was never evaluated.
func ReadEvaluation(dir string) (Evaluation, error) {
	var e Evaluation
	text, err := smallfile.Read(filepath.Join(dir, EvalFile), maxEvaluation)
	if err != nil {
		return e, fmt.Errorf("read evaluation: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("read evaluation %s: %s: %w", dir, EvalFile, err)
	}
	return e, nil
}
