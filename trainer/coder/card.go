package coder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"actfleet/internal/outfile"
	"actfleet/internal/smallfile"
)

// The files of a coder's folder.
const (
	CfgFile     = "cfg.json"
	WeightsFile = "coder.safetensors"
	MetricsFile = "metrics.jsonl"
	CkptDir     = "checkpoints"
)

// Kinds of coders.
const (
	SAE   = "sae"
	VQ    = "vq"
	Probe = "probe"
)

// Card is cfg.json: everything that made a coder.
type Card struct {
	Kind    string         `json:"kind"` // sae, vq, probe
	Arch    string         `json:"arch"` // sae.Arch, vq.Arch or linear
	Site    string         `json:"site,omitempty"`
	Layer   int            `json:"layer"`
	Variant string         `json:"variant,omitempty"` // adapter; "" is the base model
	Column  string         `json:"column,omitempty"`
	Width   int            `json:"width"` // latents, or codes
	K       int            `json:"k,omitempty"`
	Ids     int            `json:"ids,omitempty"`   // of a row, of a tokenizer
	DIn     int            `json:"d_in"`            // of a crosscoder all its vectors together
	DOut    int            `json:"d_out,omitempty"` // of a transcoder
	Parts   []int          `json:"parts,omitempty"` // of a crosscoder: the lengths of its vectors
	PlanIDs []string       `json:"plan_ids"`
	Units   []int          `json:"units"` // units that were read, of each run
	Seed    uint64         `json:"seed"`
	Config  map[string]any `json:"config"` // effective, with every key of the kind
	Program string         `json:"program,omitempty"`
	Forks   []Fork         `json:"forks,omitempty"`  // changes during the training, the oldest first
	Norms   []Norms        `json:"norms,omitempty"`  // what is ordinary in its columns, where that was looked at
	Probes  []Fit          `json:"probes,omitempty"` // of a probe folder, in the order of its scores
}

// Fit is one probe of a probe folder.
type Fit struct {
	ID         string  `json:"id"` // kind and column
	Kind       string  `json:"kind"`
	Column     string  `json:"column"`
	D          int     `json:"d"`
	L2         float64 `json:"l2,omitempty"`
	Converged  bool    `json:"converged"`
	Iterations int     `json:"iterations,omitempty"`
	Gradient   float64 `json:"gradient,omitempty"` // its largest part at the end
	TrainLoss  float64 `json:"train_loss"`         // mean −log P(y) of the train rows
	ValLoss    float64 `json:"val_loss"`
	Separable  bool    `json:"separable,omitempty"` // it has every train row on its side: the penalty alone bounds its weights
	Size       int     `json:"size,omitempty"`      // hidden units, features or directions of kinds that have some
}

// Fork is a change of the config in the middle of a training.
type Fork struct {
	Step    int      `json:"step"`
	Changed []string `json:"changed"` // as Difference tells it
}

// maxCfg bounds cfg.json.
const maxCfg = 16 << 20

// ReadCard reads cfg.json of a folder.
func ReadCard(dir string) (Card, error) {
	text, err := smallfile.Read(filepath.Join(dir, CfgFile), maxCfg)
	if err != nil {
		return Card{}, fmt.Errorf("read coder: %w", err)
	}
	c, err := ParseCard(text)
	if err != nil {
		return c, fmt.Errorf("read coder %s: %s: %w", dir, CfgFile, err)
	}
	return c, nil
}

// ParseCard is the card of a cfg.json, its sizes checked.
func ParseCard(text []byte) (c Card, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a seed has 64 bits
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	return c, c.Check()
}

// maxSize bounds every size of a card, so that no product of two of them overflows.
const maxSize = 1 << 28

// Check refuses sizes that no coder has, by name.
func (c Card) Check() error {
	for name, n := range map[string]int{"width": c.Width, "k": c.K, "ids": c.Ids, "d_in": c.DIn, "d_out": c.DOut, "layer": c.Layer} {
		if n < 0 || n > maxSize {
			return fmt.Errorf("%s is %d, want 0 to %d", name, n, maxSize)
		}
	}
	if c.Kind == SAE && (c.Width < 1 || c.DIn < 1 || c.K > c.Width) {
		return fmt.Errorf("width %d and k %d over vectors of %d do not make an autoencoder", c.Width, c.K, c.DIn)
	}
	if c.Kind == VQ && (c.Width < 2 || c.DIn < 1) {
		return fmt.Errorf("width %d over vectors of %d does not make a tokenizer", c.Width, c.DIn)
	}
	sum := 0
	for _, p := range c.Parts {
		if sum += p; p < 1 || p > maxSize {
			return fmt.Errorf("parts are %d", c.Parts)
		}
	}
	if len(c.Parts) > 0 && sum != c.DIn {
		return fmt.Errorf("parts of %d values are not the %d of d_in", sum, c.DIn)
	}
	return c.checkData()
}

// checkData refuses what is said about runs and probes.
func (c Card) checkData() error {
	for _, n := range c.Units {
		if n < 0 || n > maxSize {
			return fmt.Errorf("units are %d", n)
		}
	}
	for _, f := range c.Probes {
		if f.D < 1 || f.D > maxSize || f.Iterations < 0 || f.Size < 0 || f.Size > maxSize {
			return fmt.Errorf("probe %.80q is over vectors of %d, of size %d", f.ID, f.D, f.Size)
		}
	}
	for _, f := range c.Forks {
		if f.Step < 0 {
			return fmt.Errorf("a fork is at step %d", f.Step)
		}
	}
	return nil
}

// WriteCard writes cfg.json of a folder; it appears complete or not at all.
func WriteCard(dir string, c Card) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return outfile.Replace(filepath.Join(dir, CfgFile), append(text, '\n'))
}

// Difference lists what two coders were made from differently, for people.
func (c Card) Difference(there Card) (lines []string) {
	a, b := c.flat(), there.flat()
	for _, key := range sortedKeys(a, b) {
		if !reflect.DeepEqual(a[key], b[key]) {
			lines = append(lines, fmt.Sprintf("%s: %v here, %v in the folder", key, a[key], b[key]))
		}
	}
	return lines
}

// indifferent are the keys of a config that change what is kept, not what is learned.
var indifferent = []string{"checkpoint_steps", "checkpoint_minutes", "checkpoint_keep"}

// flat is the coder as JSON values by key, config's keys among them. The program's
// version is no difference, and results and past changes are none.
func (c Card) flat() map[string]any {
	c.Program, c.Probes, c.Forks, c.Norms = "", nil, nil, nil
	out := map[string]any{}
	text, err := json.Marshal(c)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&out)
	}
	if err != nil {
		return map[string]any{"coder": err.Error()}
	}
	config, _ := out["config"].(map[string]any)
	delete(out, "config")
	for k, v := range config {
		if !slices.Contains(indifferent, k) {
			out[k] = v
		}
	}
	return out
}

// SameData tells whether two coders were made from the same units of the same runs.
func SameData(a, b Card) bool {
	return slices.Equal(a.PlanIDs, b.PlanIDs) && slices.Equal(a.Units, b.Units)
}

// SawAny tells whether the coder was trained on one of the runs with these plan ids.
func (c Card) SawAny(planIDs ...string) bool {
	return slices.ContainsFunc(planIDs, func(id string) bool { return slices.Contains(c.PlanIDs, id) })
}

func sortedKeys(maps ...map[string]any) (keys []string) {
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// ID is a name for the coder's codes: kind, column and eight digits of the weights'
// hash, so that other weights never write under the same name.
func ID(dir string) (string, error) {
	c, err := ReadCard(dir)
	if err != nil {
		return "", err
	}
	if err := Trained(dir); err != nil {
		return "", err
	}
	sum, err := HashFile(filepath.Join(dir, WeightsFile))
	if err != nil {
		return "", err
	}
	name := c.Kind
	if c.Column != "" {
		name += "_" + c.Column
	}
	return name + "_" + sum[:8], nil
}

// Trained says what is wrong with a folder whose training has not ended; nil of one that holds weights.
func Trained(dir string) error {
	_, err := os.Stat(filepath.Join(dir, WeightsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no %s: the training has not ended; add --resume to go on", dir, WeightsFile)
	}
	return err
}

// HashFile is the SHA-256 of a regular file, in hex.
func HashFile(path string) (string, error) {
	f, _, err := smallfile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
