package measure

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/recon"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// Meter measures a coder on rows.
type Meter interface {
	Add(x []float32, n int) error
	Metrics() map[string]float64
	// Sums are what the reconstruction's metrics are of; Aside adds rows and their reconstructions to others.
	Sums() *recon.Sums
	Aside(x []float32, n int, to *recon.Sums) error
}

// Judged measures ordinary rows with a Meter, and sinks aside: its metrics are of ordinary rows, beside fvu_all, of all
// rows together, and sinks, how many of them there were.
type Judged struct {
	Meter
	sinks recon.Sums
	rows  Rows // memory
}

// Rows are some of a batch.
type Rows struct {
	X    []float32
	Keys []stream.Key
}

// AddBatch measures rows lo to hi of a batch and returns the ordinary ones among them, valid until the next call.
func (j *Judged) AddBatch(b *stream.Batch, lo, hi int) (Rows, error) {
	ordinary := Rows{b.X[lo*b.D : hi*b.D], b.Keys[b.From+lo : b.From+hi]}
	if b.Sink != nil && slices.Contains(b.Sink[lo:hi], true) {
		var sinks []float32
		ordinary, sinks = j.part(b, lo, hi)
		if err := j.Aside(sinks, len(sinks)/b.D, &j.sinks); err != nil {
			return ordinary, err
		}
	}
	if len(ordinary.Keys) == 0 {
		return ordinary, nil
	}
	return ordinary, j.Add(ordinary.X, len(ordinary.Keys))
}

func (j *Judged) part(b *stream.Batch, lo, hi int) (ordinary Rows, sinks []float32) {
	j.rows = Rows{j.rows.X[:0], j.rows.Keys[:0]}
	for i := lo; i < hi; i++ {
		if x := b.X[i*b.D : (i+1)*b.D]; b.Sink[i] {
			sinks = append(sinks, x...)
		} else {
			j.rows.X, j.rows.Keys = append(j.rows.X, x...), append(j.rows.Keys, b.Keys[b.From+i])
		}
	}
	return j.rows, sinks
}

// Metrics are the Meter's, and those of all rows.
func (j *Judged) Metrics() map[string]float64 {
	m := j.Meter.Metrics()
	var all recon.Sums
	all.Join(j.Sums())
	all.Join(&j.sinks)
	if v := all.FVU(); !math.IsNaN(v) && !math.IsInf(v, 0) {
		m["fvu_all"] = v
	}
	m["sinks"] = float64(j.sinks.N)
	return m
}

// openMeter loads a trained coder to measure it.
func openMeter(dir string, c coder.Card) (Meter, error) {
	if err := coder.Trained(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, coder.WeightsFile)
	switch c.Kind {
	case coder.SAE:
		m, err := codes.LoadSAE(dir, c)
		return &sae.Eval{Model: m}, err
	case coder.VQ:
		m, err := codes.LoadTokenizer(path, c)
		return &vq.Eval{Coder: m}, err
	}
	return nil, fmt.Errorf("%s holds a coder of kind %q: only sae and vq reconstruct", dir, c.Kind)
}
