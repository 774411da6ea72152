package parity

import (
	"fmt"

	"actfleet/shard/tap"
)

// Tolerance is the largest error that counts as equal.
const Tolerance = 1e-4

// logits stands where a site would.
const logits tap.Site = "logits"

// Cell is how far one tap is off, at most, over all prompts.
type Cell struct {
	Site   tap.Site `json:"site"`
	Layer  int      `json:"layer"`
	Error  float64  `json:"error"`  // max |Δ| / max(RMS, |reference|), which decides
	ByRMS  float64  `json:"by_rms"` // max |Δ| / RMS
	Prompt int      `json:"prompt"` // from 0, where the error is largest
}

// Name is how a message calls the cell: "fc1 of layer 3", or "logits".
func (c Cell) Name() string {
	if c.Site == logits {
		return string(logits)
	}
	return fmt.Sprintf("%s of layer %d", c.Site, c.Layer)
}

// Report is the outcome of a comparison.
type Report struct {
	Model     string  `json:"model"`
	Arch      string  `json:"arch"`
	Digest    string  `json:"digest"`
	Peer      Peer    `json:"peer"`
	Prompts   int     `json:"prompts"`
	Tokens    int     `json:"tokens"` // of all prompts
	Tolerance float64 `json:"tolerance"`
	Taps      []Cell  `json:"taps"`   // in tap.Cross's order
	Logits    Cell    `json:"logits"` // after the last token; Site is "logits"
	Equal     bool    `json:"equal"`  // no error is above the tolerance
}

// Worst is the largest error.
func (r Report) Worst() Cell {
	worst := r.Logits
	for _, c := range r.Taps {
		if c.Error > worst.Error {
			worst = c
		}
	}
	return worst
}

// take keeps what is larger.
func (c *Cell) take(off distance, prompt int) {
	if off.scaled >= c.Error {
		c.Error, c.Prompt = off.scaled, prompt
	}
	c.ByRMS = max(c.ByRMS, off.byRMS)
}
