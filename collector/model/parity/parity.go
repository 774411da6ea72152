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
	info := m.Info()
	r = Report{Model: info.Name, Arch: info.Arch, Digest: info.Digest, Prompts: len(prompts), Tolerance: Tolerance}
	for _, ids := range prompts {
		r.Tokens += len(ids)
	}
	taps := tapsOf(m)
	a := ask{Prompts: prompts, Places: placesOf(m, taps)}
	c, err := begin(ctx, python, checkpoint, a)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	r.Peer = c.peer
	if r.Taps, r.Logits, err = c.compare(ctx, m, taps); err != nil {
		return r, err
	}
	if r.Equal = r.Worst().Equal(); r.Equal {
		return r, nil
	}
	a.Double = true
	exact, err := begin(ctx, python, checkpoint, a)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, exact.close()) }()
	err = c.judge(ctx, exact, m, taps, &r)
	r.Equal = r.Worst().Equal()
	return r, err
}

// judge measures how far both sides are from the exact reference.
func (c *comparison) judge(ctx context.Context, exact *comparison, m *model.Model, taps []tap.Tap, r *Report) error {
	// Ours once more: to keep all of its vectors until now would take more memory than the models.
	ours, last, err := exact.compare(ctx, m, taps)
	if err != nil {
		return err
	}
	for i := range r.Taps {
		if r.Taps[i].FP64, err = c.distances(exact, taps[i].Column(""), ours[i]); err != nil {
			return err
		}
	}
	r.Logits.FP64, err = c.distances(exact, string(logits), last)
	return err
}

// distances are those from the exact tensor of a name: ours, which is measured, and the reference's in 32 bits.
func (c *comparison) distances(exact *comparison, name string, ours Cell) (*Distances, error) {
	var all Cell
	for p, f := range c.files {
		theirs, err := f.Float32s(name)
		if err != nil {
			return nil, err
		}
		info, _ := f.Info(name) // it was just read
		if err := exact.measure(p, name, info.Shape, theirs, &all); err != nil {
			return nil, err
		}
	}
	return &Distances{Ours: ours.Error, Transformers: all.Error}, nil
}

// tapsOf are all taps that a model has.
func tapsOf(m Forwarder) (taps []tap.Tap) {
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
	peer    Peer
	dir     string // of the files, temporary
	files   []*safetensors.File
}

// begin has the peer compute what a asks for.
func begin(ctx context.Context, python, checkpoint string, a ask) (c *comparison, err error) {
	c = &comparison{prompts: a.Prompts}
	if c.dir, err = os.MkdirTemp("", "actfleet-parity-"); err != nil {
		return nil, err
	}
	if c.peer, err = reference(ctx, python, checkpoint, a, c.dir); err != nil {
		return nil, errors.Join(err, c.close())
	}
	for p := range c.prompts {
		f, err := safetensors.Open(filepath.Join(c.dir, fmt.Sprintf("p%d.safetensors", p)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrPeer, err), c.close())
		}
		c.files = append(c.files, f)
	}
	return c, nil
}

func (c *comparison) close() error {
	for _, f := range c.files {
		_ = f.Close() // read only
	}
	return os.RemoveAll(c.dir)
}

// compare runs m on the prompts and measures a cell for each tap, and one for the logits.
func (c *comparison) compare(ctx context.Context, m *model.Model, taps []tap.Tap) (cells []Cell, ends Cell, err error) {
	cells = make([]Cell, len(taps))
	for i, t := range taps {
		cells[i] = Cell{Site: t.Site, Layer: t.Layer}
	}
	emit := func(i int, v model.View) error {
		for p, ids := range c.prompts {
			ours := v.Rows(p, len(ids))
			if err := c.measure(p, taps[i].Column(""), []int64{int64(len(ids)), int64(v.D)}, ours, &cells[i]); err != nil {
				return err
			}
		}
		return nil
	}
	last, err := m.Forward(ctx, model.Request{IDs: c.prompts, Taps: taps, Emit: emit, Logits: true})
	if err != nil {
		return nil, ends, err
	}
	ends.Site = logits
	for p, ours := range last {
		if err := c.measure(p, string(logits), []int64{int64(len(ours))}, ours, &ends); err != nil {
			return nil, ends, err
		}
	}
	return cells, ends, nil
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

// Tolerance is the largest error that counts as equal without a judge (see Cell.Equal).
const Tolerance = 1e-4

// logits stands where a site would.
const logits tap.Site = "logits"

// Cell is how far one tap is off, at most, over all prompts.
type Cell struct {
	Site   tap.Site `json:"site"`
	Layer  int      `json:"layer"`
	Error  float64  `json:"error"`  // max |Δ| / max(RMS, |reference|)
	ByRMS  float64  `json:"by_rms"` // max |Δ| / RMS
	Prompt int      `json:"prompt"` // from 0, where the error is largest
	// FP64 is measured for every cell when the error of some cell is above Tolerance; nil: for none.
	FP64 *Distances `json:"fp64,omitempty"`
}

// Distances are the errors of two computations in 32-bit floats against the peer's in 64 bits (of which the tensors are
// rounded to 32 bits in the end): max |Δ| / max(RMS, |value in 64 bits|) over all prompts.
type Distances struct {
	Ours         float64 `json:"ours"`
	Transformers float64 `json:"transformers"`
}

// Allowed is how far ours may be from 64 bits: Tolerance, or twice as far as transformers, if that is more.
func (d Distances) Allowed() float64 { return max(Tolerance, 2*d.Transformers) }

// Equal says whether the error is at most Tolerance or, where it is not, the 64-bit floats say that ours is within
// what is allowed.
func (c Cell) Equal() bool { return c.excess() <= 1 }

// excess is what decides as a part of what is allowed.
func (c Cell) excess() float64 {
	if c.Judged() {
		return c.FP64.Ours / c.FP64.Allowed()
	}
	return c.Error / Tolerance
}

// Judged says whether FP64 decides, not Error.
func (c Cell) Judged() bool { return c.Error > Tolerance && c.FP64 != nil }

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
	Equal     bool    `json:"equal"`  // every cell is
}

// Worst is the cell that is furthest above what is allowed, or the nearest to it.
func (r Report) Worst() Cell {
	worst := r.Logits
	for _, c := range r.Taps {
		if c.excess() > worst.excess() {
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
