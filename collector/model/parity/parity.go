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
	if r.Peer, err = reference(ctx, python, checkpoint, ask{Prompts: prompts, Places: placesOf(m, taps)}, dir); err != nil {
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
	r.Equal = r.Worst().Error <= Tolerance
	return r, nil
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
