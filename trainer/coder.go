package trainer

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

	"actfleet/shard/tap"
	"actfleet/trainer/probe"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// The files of a coder's folder.
const (
	CfgFile     = "cfg.json"
	WeightsFile = "coder.safetensors"
	MetricsFile = "metrics.jsonl"
	CkptDir     = "checkpoints"
)

// Coder is cfg.json: everything that made a coder.
type Coder struct {
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
	Probes  []probe.Probe  `json:"probes,omitempty"` // of a probe folder, in the order of its scores
}

// Fork is a change of the config in the middle of a training.
type Fork struct {
	Step    int      `json:"step"`
	Changed []string `json:"changed"` // as Difference tells it
}

// newCoder describes a training before it begins.
func newCoder(j Job, c Config, widths []int) Coder {
	out := Coder{Kind: j.Kind, Column: j.Column, DIn: widths[0], Seed: c.Seed, Config: c.Effective(j.Kind), Program: j.Program}
	if t, variant, ok := tap.ParseColumn(j.Column); ok {
		out.Site, out.Layer, out.Variant = string(t.Site), t.Layer, variant
	}
	switch j.Kind {
	case SAE:
		out.Arch, out.Width, out.K = c.Arch, c.Width, c.K
		if c.Target != "" {
			out.DOut = widths[1]
		}
		if len(c.Beside) > 0 {
			out.Parts = widths
		}
		for _, w := range out.Parts[min(1, len(out.Parts)):] {
			out.DIn += w
		}
	case VQ:
		out.Arch, out.Width, out.Ids = c.Arch, c.Codes, c.Ids
	}
	for _, s := range j.Runs {
		out.PlanIDs, out.Units = append(out.PlanIDs, s.Plan.ID()), append(out.Units, len(s.All()))
	}
	return out
}

// maxCfg bounds cfg.json.
const maxCfg = 16 << 20

// ReadCoder reads cfg.json of a folder.
func ReadCoder(dir string) (Coder, error) {
	var c Coder
	f, err := os.Open(filepath.Join(dir, CfgFile))
	if err != nil {
		return c, fmt.Errorf("read coder: %w", err)
	}
	defer f.Close() // read only
	d := json.NewDecoder(io.LimitReader(f, maxCfg))
	d.UseNumber() // a seed has 64 bits
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("read coder %s: %s: %w", dir, CfgFile, err)
	}
	if c.DIn < 0 || c.DOut < 0 || c.Width < 0 || c.K < 0 {
		return c, fmt.Errorf("read coder %s: %s has negative sizes", dir, CfgFile)
	}
	return c, nil
}

// WriteCoder writes cfg.json of a folder; it appears complete or not at all.
func WriteCoder(dir string, c Coder) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, CfgFile), append(text, '\n'))
}

// writeFile replaces a file durably.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Difference lists what two coders were made from differently, for people.
func (c Coder) Difference(there Coder) (lines []string) {
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
func (c Coder) flat() map[string]any {
	c.Program, c.Probes, c.Forks = "", nil, nil
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
			out[currentKey(k)] = v
		}
	}
	return out
}

// sameData tells whether two coders were made from the same units of the same runs.
func sameData(a, b Coder) bool {
	return slices.Equal(a.PlanIDs, b.PlanIDs) && slices.Equal(a.Units, b.Units)
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
	c, err := ReadCoder(dir)
	if err != nil {
		return "", err
	}
	sum, err := hashFile(filepath.Join(dir, WeightsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s holds no %s: the training has not ended; add --resume to go on", dir, WeightsFile)
	}
	if err != nil {
		return "", err
	}
	name := c.Kind
	if c.Column != "" {
		name += "_" + c.Column
	}
	return name + "_" + sum[:8], nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
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

// openMeter loads a trained coder to measure it.
func openMeter(dir string, c Coder) (Meter, error) {
	path := filepath.Join(dir, WeightsFile)
	switch c.Kind {
	case SAE:
		m, err := loadSAE(dir, c)
		return &sae.Eval{Model: m}, err
	case VQ:
		m, err := loadTokenizer(path, c)
		return &vq.Eval{Coder: m}, err
	}
	return nil, fmt.Errorf("%s holds a coder of kind %q: only sae and vq reconstruct", dir, c.Kind)
}
