package trainer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"actfleet/shard/tap"
	"actfleet/trainer/coder"
	"actfleet/trainer/folder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/sae"
)

// Import is what a coder's folder says of an autoencoder that was trained elsewhere.
type Import struct {
	Column  string // the vectors it reads
	Target  string // of a transcoder: the vectors it predicts
	Program string
}

// SaveSAE makes a coder's folder of an autoencoder. Its config holds what Default gives where nobody
// knows better. The folder appears complete or not at all.
func SaveSAE(dir string, m *sae.Model, from Import) error {
	if _, err := os.Stat(filepath.Join(dir, coder.CfgFile)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w; choose another --out", dir, ErrExists), err)
	}
	if from.Target != "" && m.Out == 0 {
		return fmt.Errorf("a target column is for transcoders, and this is an autoencoder (%s) of vectors of %d: leave it out", m.Arch, m.D)
	}
	if from.Target == "" && m.Out > 0 {
		return fmt.Errorf("this is a transcoder (%s) from %d to %d values: name the column it predicts with --target", m.Arch, m.D, m.Out)
	}
	c := recipe.Default(coder.SAE)
	c.SAE.Arch, c.SAE.Width, c.SAE.Target, c.SAE.Skip = string(m.Arch), m.M, from.Target, m.Skip
	c.SAE.K = min(c.SAE.K, c.SAE.Width) // how many latents codes list, where the function has no k
	if m.K > 0 {
		c.SAE.K = m.K
	}
	c.SAE.Tied = m.Out == 0
	c.Resolve(m.D, 0)
	widths := []int{m.D}
	if m.Out > 0 {
		widths = append(widths, m.Out)
	}
	card := c.Card(from.Column, nil, widths, from.Program)
	for _, column := range []string{from.Column, from.Target} {
		if _, _, ok := tap.ParseColumn(column); column != "" && !ok {
			return fmt.Errorf("column %q is not one of a run, such as fc2_3 or resid_0__ia3", column)
		}
	}
	err := folder.Make(dir, func(temp string) error {
		if err := m.Save(filepath.Join(temp, coder.WeightsFile)); err != nil {
			return err
		}
		return coder.WriteCard(temp, card)
	})
	if err != nil {
		return fmt.Errorf("import: %w; choose another --out", err)
	}
	return nil
}
