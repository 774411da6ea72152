package export

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"actfleet/trainer/sae"
)

// The names depend on the class. JumpReluAutoEncoder has a = x·W_enc + b_enc, without x − b_dec.
var (
	dictionaryNames = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "b_dec", decT: true}
	dictionaryReLU  = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "bias", decT: true}
	dictionaryGated = names{wEnc: "encoder.weight", bEnc: "gate_bias", wDec: "decoder.weight", bDec: "decoder_bias", decT: true}
	dictionaryJump  = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", encT: true}
)

// The classes.
const (
	classTopK      = "AutoEncoderTopK"
	classBatchTopK = "BatchTopKSAE"
	classReLU      = "AutoEncoder"
	classJump      = "JumpReluAutoEncoder"
	classGated     = "GatedAutoEncoder"
	classNested    = "MatryoshkaBatchTopKSAE" // is read alone
)

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
func dictionary(m *sae.Model) (class string, list []array) {
	list = dictionaryNames.weights(m)
	k := array{"k", nil, []int32{int32(m.K)}}
	switch m.Arch.Activation() {
	case sae.TopKActivation:
		return classTopK, append(list, k, array{"threshold", nil, []float32{noThreshold}})
	case sae.ThresholdActivation:
		return classBatchTopK, append(list, k, array{"threshold", nil, m.Theta[:1]})
	case sae.ReLUActivation:
		return classReLU, dictionaryReLU.weights(m)
	case sae.GatedActivation:
		return classGated, append(dictionaryGated.weights(m), array{"r_mag", []int{m.M}, m.RMag}, array{"mag_bias", []int{m.M}, m.BMag})
	case sae.JumpReLUActivation:
		list = dictionaryJump.weights(m)
		list[1].data = m.PlainBias()
		return classJump, append(list, threshold(m))
	}
	return "", nil
}

func writeDictionary(dir string, m *sae.Model, o Origin) error {
	class, list := dictionary(m)
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
	sub := filepath.Join(dir, dictionaryTrainer)
	if _, err := os.Stat(filepath.Join(dir, dictionaryWeights)); err == nil { // a trainer's own folder
		sub = dir
	}
	d, err := loadTorch(filepath.Join(sub, dictionaryWeights))
	if err != nil {
		return nil, err
	}
	var c dictionaryConfig
	if err := loadJSON(filepath.Join(sub, dictionaryCfg), &c); err != nil {
		return nil, err
	}
	return fromDictionary(c.Trainer.Class, d.arrays())
}

// fromDictionary is a model of the arrays of a class.
func fromDictionary(class string, a arrays) (*sae.Model, error) {
	n := map[string]names{classTopK: dictionaryNames, classBatchTopK: dictionaryNames, classReLU: dictionaryReLU, classJump: dictionaryJump, classGated: dictionaryGated, classNested: dictionaryJump}
	layout, ok := n[class]
	if !ok {
		return nil, fmt.Errorf("%w: dict_class %q is not read", ErrFormat, class)
	}
	m, err := layout.model(a)
	if err != nil {
		return nil, err
	}
	switch class {
	case classTopK:
		return withK(m, a["k"].integer())
	case classReLU:
		return relu(m), nil
	case classGated:
		return gated(m, a, "r_mag", "mag_bias")
	case classJump:
		m.Centre()
		return jumping(m, a)
	}
	theta, err := a.vector("threshold", 1)
	if err != nil {
		return nil, err
	}
	if m, err = withK(m, a["k"].integer()); err != nil {
		return nil, err
	}
	m.Arch, m.Theta = sae.BatchTopK, slices.Repeat(theta, m.M)
	return m, nil
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
