package adapter

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/internal/pickle"
)

// readPickle reads the weights that PEFT before 0.7 wrote. Nothing in the file is executed.
func readPickle(dir string) (arrays []Array, err error) {
	d, err := pickle.Load(filepath.Join(dir, pickleName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: half a folder: there is neither %s nor %s", ErrCorrupt, weightsName, pickleName)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pickleName, err)
	}
	found := d.Arrays()
	if len(found) != len(d.Keys) {
		return nil, fmt.Errorf("%w: %s holds other things than arrays", ErrCorrupt, pickleName)
	}
	for name, a := range found {
		data, err := a.Float32s()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pickleName, err)
		}
		arrays = append(arrays, Array{Name: name, Shape: a.Shape, Data: data})
	}
	slices.SortFunc(arrays, func(a, b Array) int { return strings.Compare(a.Name, b.Name) })
	return arrays, nil
}
