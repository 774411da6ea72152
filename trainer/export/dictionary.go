package export

import (
	"fmt"
	"os"
	"path/filepath"

	"actfleet/trainer/sae"
)

var dictionaryNames = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "b_dec", decT: true}

const (
	dictionaryCfg     = "config.json"
	dictionaryTrainer = "trainer_0"
	dictionaryWeights = "ae.pt"
)

// dictionaryConfig is config.json.
type dictionaryConfig struct {
	Trainer dictionaryTraining `json:"trainer"`
	Buffer  map[string]any     `json:"buffer"`
}

type dictionaryTraining struct {
	Class  string `json:"dict_class"`
	DIn    int    `json:"activation_dim"`
	Width  int    `json:"dict_size"`
	K      int    `json:"k,omitempty"`
	Layer  int    `json:"layer"`
	Model  string `json:"lm_name"`
	Hook   string `json:"submodule_name"`
	Device string `json:"device"`
}

// noThreshold is what the program stores before it has one.
const noThreshold = -1

// dictionary is the class and the arrays of a model.
func dictionary(m *sae.Model) (class string, list []array, err error) {
	list = dictionaryNames.weights(m)
	switch m.Arch {
	case sae.TopK:
		return "AutoEncoderTopK", append(list, array{"k", nil, []int32{int32(m.K)}}, array{"threshold", nil, []float32{noThreshold}}), nil
	}
	return "", nil, refuse(DictionaryLearning, m)
}

func writeDictionary(dir string, m *sae.Model, o Origin) error {
	class, list, err := dictionary(m)
	if err != nil {
		return err
	}
	t := dictionaryTraining{Class: class, DIn: m.D, Width: m.M, K: m.K, Layer: o.Layer, Model: o.Model, Hook: o.Hook, Device: "cpu"}
	sub := filepath.Join(dir, dictionaryTrainer)
	if err := os.Mkdir(sub, 0o755); err != nil {
		return err
	}
	for _, d := range []string{dir, sub} { // beside the weights and above them: both are looked for
		if err := saveJSON(filepath.Join(d, dictionaryCfg), dictionaryConfig{Trainer: t, Buffer: map[string]any{}}); err != nil {
			return err
		}
	}
	return saveTorch(filepath.Join(sub, dictionaryWeights), ofArrays(list))
}

func readDictionary(dir string) (*sae.Model, error) {
	d, err := loadTorch(filepath.Join(dir, dictionaryTrainer, dictionaryWeights))
	if err != nil {
		return nil, err
	}
	a := d.arrays()
	k, ok := a["k"]
	if !ok {
		return nil, fmt.Errorf("%w: no k", ErrFormat)
	}
	m, err := dictionaryNames.model(a)
	if err != nil {
		return nil, err
	}
	return withK(m, k.integer())
}

// integer is the value of a scalar array, or 0.
func (a array) integer() int {
	switch v := a.data.(type) {
	case []int64:
		if len(v) == 1 {
			return int(v[0])
		}
	case []int32:
		if len(v) == 1 {
			return int(v[0])
		}
	}
	return 0
}
