package coder

import (
	"fmt"
	"slices"
	"strings"
)

// Norms says how long the vectors of a column ordinarily are, from a sample of rows. Rows far beyond that are sinks: the
// tokens, mostly the first of a prompt, on which attention rests when it has nothing to look at, and whose vectors are a
// hundred times as long as others. They would decide every mean over rows.
type Norms struct {
	Column    string         `json:"column"`
	Rows      int            `json:"rows"`   // of the sample
	Median    float64        `json:"median"` // of the norms
	MAD       float64        `json:"mad"`    // median of the norms' distances from it
	Limit     float64        `json:"limit"`  // the norm above which a row is a sink; 0 is none
	Sinks     int            `json:"sinks"`  // in the sample
	Positions []SinkPosition `json:"positions,omitempty"`
}

// SinkPosition is a token position whose rows are sinks together: their median norm is above the limit.
type SinkPosition struct {
	Pos    int32   `json:"pos"`
	Median float64 `json:"median"`
}

// Sink tells whether a row is one, by its norm and its token position.
func (n Norms) Sink(norm float64, pos int32) bool { return n.Limit > 0 && norm > n.Limit || n.At(pos) }

// At tells whether a token position's rows are sinks together.
func (n Norms) At(pos int32) bool {
	return slices.ContainsFunc(n.Positions, func(p SinkPosition) bool { return p.Pos == pos })
}

// String is what the sample shows, for people.
func (n Norms) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d rows looked at (%.2g %%) are sinks, longer than %.4g, the median is %.4g",
		n.Column, n.Sinks, n.Rows, 100*float64(n.Sinks)/float64(max(n.Rows, 1)), n.Limit, n.Median)
	for _, p := range n.Positions {
		fmt.Fprintf(&b, "; position %d has the median %.4g", p.Pos, p.Median)
	}
	return b.String()
}
