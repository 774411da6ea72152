package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"actfleet/internal/safetensors"
	"actfleet/internal/smallfile"
)

// maxImportance bounds a list of weights.
const maxImportance = 64 << 20

// readImportance reads n weights from a JSON list or from a tensor, FILE.safetensors#TENSOR (no name
// where the file has one alone), as the absolute values over their mean: an adapter's factors may be
// negative.
func readImportance(path string, n int) ([]float32, error) {
	w, err := readWeights(path)
	if err != nil {
		return nil, fmt.Errorf("importance: %w", err)
	}
	if len(w) != n {
		return nil, fmt.Errorf("importance: %s holds %d weights, the vector has %d features", path, len(w), n)
	}
	var sum float64
	for i, v := range w {
		w[i] = float32(math.Abs(float64(v)))
		sum += float64(w[i])
		if !(w[i] > 0) || math.IsInf(float64(w[i]), 0) {
			return nil, fmt.Errorf("importance: weight %d of %s is %v: every weight must be finite and not 0", i, path, v)
		}
	}
	for i := range w {
		w[i] *= float32(float64(n) / sum)
	}
	return w, nil
}

func readWeights(path string) (w []float32, err error) {
	file, name, _ := strings.Cut(path, "#")
	if strings.HasSuffix(file, ".safetensors") {
		return readTensor(file, name)
	}
	text, err := smallfile.Read(path, maxImportance)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("%s is no list of numbers: %w", path, err)
	}
	return w, nil
}

func readTensor(path, name string) (w []float32, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	all := f.Tensors()
	if name == "" && len(all) == 1 {
		name = all[0].Name
	}
	if _, ok := f.Info(name); !ok {
		return nil, fmt.Errorf("%s has no tensor %q among its %d: write FILE#TENSOR", path, name, len(all))
	}
	v, err := f.Float32s(name)
	return append([]float32(nil), v...), err
}
