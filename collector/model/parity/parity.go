package parity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"actfleet/collector/model"
	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

// ErrNotFinite says that a value on either side is NaN or infinite, so that no error can be given.
var ErrNotFinite = errors.New("not finite")

// Run compares m, loaded from checkpoint, with the peer in python (see Interpreter) on prompts, token ids.
// Errors: ErrPeer, ErrNotFinite, what Forward returns, or what the file system says.
func Run(ctx context.Context, m *model.Model, checkpoint, python string, prompts [][]int32) (r Report, err error) {
	dir, err := os.MkdirTemp("", "actfleet-parity-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	info := m.Info()
	r = Report{Model: info.Name, Arch: info.Arch, Digest: info.Digest, Prompts: len(prompts), Tolerance: Tolerance}
	for _, ids := range prompts {
		r.Tokens += len(ids)
	}
	taps := tapsOf(m)
	a := ask{Prompts: prompts, Places: placesOf(m, taps)}
	if r.Peer, err = reference(ctx, python, checkpoint, a, dir); err != nil {
		return r, err
	}
	c, err := open(dir, prompts)
	if err != nil {
		return r, err
	}
	defer c.close()
	if err := c.compare(ctx, m, taps, &r); err != nil {
		return r, err
	}
	if r.Equal = r.Worst().Error <= Tolerance; r.Equal {
		return r, nil
	}
	a.Double = true
	return r, c.round(ctx, python, checkpoint, a, &r)
}

// round measures how far the reference itself is off by rounding, beside what a asks for, and decides anew.
func (c *comparison) round(ctx context.Context, python, checkpoint string, a ask, r *Report) (err error) {
	dir, err := os.MkdirTemp("", "actfleet-parity-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := reference(ctx, python, checkpoint, a, dir); err != nil {
		return err
	}
	exact, err := open(dir, c.prompts)
	if err != nil {
		return err
	}
	defer exact.close()
	r.Equal = true
	for i := range len(r.Taps) + 1 {
		cell, name := &r.Logits, string(logits)
		if i < len(r.Taps) {
			cell = &r.Taps[i]
			name = tap.Tap{Site: cell.Site, Layer: cell.Layer}.Column("")
		}
		if cell.Rounding, err = c.rounding(exact, name); err != nil {
			return err
		}
		r.Equal = r.Equal && cell.Error <= cell.Allowed()
	}
	return nil
}

// rounding is the largest error of a tensor in the reference's files against the exact ones.
func (c *comparison) rounding(exact *comparison, name string) (float64, error) {
	var all Cell
	for p, f := range c.files {
		theirs, err := f.Float32s(name)
		if err != nil {
			return 0, err
		}
		info, _ := f.Info(name) // it was just read
		if err := exact.measure(p, name, info.Shape, theirs, &all); err != nil {
			return 0, err
		}
	}
	return all.Error, nil
}

// tapsOf are all taps that a model has.
func tapsOf(m *model.Model) (taps []tap.Tap) {
	for layer := range m.Info().Layers {
		for _, site := range tap.Every {
			if t := (tap.Tap{Site: site, Layer: layer}); m.Width(t) > 0 {
				taps = append(taps, t)
			}
		}
	}
	return taps
}

// comparison is a batch of prompts beside the reference's file of each.
type comparison struct {
	prompts [][]int32
	files   []*safetensors.File
}

func open(dir string, prompts [][]int32) (*comparison, error) {
	c := &comparison{prompts: prompts}
	for p := range prompts {
		f, err := safetensors.Open(filepath.Join(dir, fmt.Sprintf("p%d.safetensors", p)))
		if err != nil {
			c.close()
			return nil, fmt.Errorf("%w: %w", ErrPeer, err)
		}
		c.files = append(c.files, f)
	}
	return c, nil
}

func (c *comparison) close() {
	for _, f := range c.files {
		_ = f.Close() // read only
	}
}

func (c *comparison) compare(ctx context.Context, m *model.Model, taps []tap.Tap, r *Report) error {
	r.Taps = make([]Cell, len(taps))
	for i, t := range taps {
		r.Taps[i] = Cell{Site: t.Site, Layer: t.Layer}
	}
	emit := func(i int, v model.View) error {
		for p, ids := range c.prompts {
			ours := v.Data[p*v.T*v.D:][:len(ids)*v.D]
			if err := c.measure(p, taps[i].Column(""), []int64{int64(len(ids)), int64(v.D)}, ours, &r.Taps[i]); err != nil {
				return err
			}
		}
		return nil
	}
	last, err := m.Forward(ctx, model.Request{IDs: c.prompts, Taps: taps, Emit: emit, Logits: true})
	if err != nil {
		return err
	}
	r.Logits.Site = logits
	for p, ours := range last {
		if err := c.measure(p, string(logits), []int64{int64(len(ours))}, ours, &r.Logits); err != nil {
			return err
		}
	}
	return nil
}

// measure compares one tensor of a prompt.
func (c *comparison) measure(prompt int, name string, shape []int64, ours []float32, into *Cell) error {
	info, ok := c.files[prompt].Info(name)
	if !ok || fmt.Sprint(info.Shape) != fmt.Sprint(shape) {
		return fmt.Errorf("%w: its %s of prompt %d has shape %v, ours %v", ErrPeer, name, prompt, info.Shape, shape)
	}
	theirs, err := c.files[prompt].Float32s(name)
	if err != nil {
		return err
	}
	off := between(ours, theirs)
	if math.IsNaN(off.scaled) {
		return fmt.Errorf("%s of prompt %d is %w, on our side or Hugging Face's; does the checkpoint hold a NaN?", name, prompt, ErrNotFinite)
	}
	into.take(off, prompt)
	return nil
}

// distance is max |Δ| in two measures.
type distance struct{ scaled, byRMS float64 }

// between is the distance of ours from theirs, NaN where anything is not finite. A difference from nothing
// but zeros counts as the largest number.
func between(ours, theirs []float32) (d distance) {
	var squares float64
	for _, want := range theirs {
		squares += float64(want) * float64(want)
	}
	rms := math.Sqrt(squares / float64(len(theirs)))
	for i, want := range theirs {
		off := math.Abs(float64(ours[i]) - float64(want))
		if off == 0 {
			continue
		}
		d.byRMS = max(d.byRMS, min(off/rms, math.MaxFloat64)) // max and min keep a NaN
		d.scaled = max(d.scaled, min(off/max(rms, math.Abs(float64(want))), math.MaxFloat64))
	}
	return d
}

// Tolerance is the largest error that counts as equal, unless the reference's own rounding is of that size (see
// Cell.Allowed).
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
	// Rounding is the error of the reference against itself in 64 bits, measured when some error of the report is above
	// Tolerance.
	Rounding float64 `json:"rounding,omitempty"`
}

// Allowed is the largest error that counts as equal: Tolerance, or twice the reference's own rounding, by which two
// correct computations may be apart, if that is larger.
func (c Cell) Allowed() float64 { return max(Tolerance, 2*c.Rounding) }

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
	Equal     bool    `json:"equal"`  // no error is above what is allowed
}

// Worst is the error that is furthest above what is allowed, or the nearest to it.
func (r Report) Worst() Cell {
	worst := r.Logits
	for _, c := range r.Taps {
		if c.Error/c.Allowed() > worst.Error/worst.Allowed() {
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
