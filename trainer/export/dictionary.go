package export

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"actfleet/internal/array"
	"actfleet/internal/pickle"
	"actfleet/trainer/sae"
)

// The names depend on the class. JumpReluAutoEncoder and AutoEncoderNew have
// a = x·W_enc + b_enc, without x − b_dec.
var (
	dictionaryNames = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "b_dec", decT: true}
	dictionaryFree  = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "decoder.bias", decT: true}
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
	classNested    = "MatryoshkaBatchTopKSAE" // is read alone, as is
	classFree      = "AutoEncoderNew"
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
func dictionary(m *sae.Model) (class string, list []array.Array) {
	list = dictionaryNames.weights(m)
	k := array.Of("k", nil, []int32{int32(m.K)})
	switch m.Arch.Activation() {
	case sae.TopKActivation:
		return classTopK, append(list, k, array.Of("threshold", nil, []float32{noThreshold}))
	case sae.ThresholdActivation:
		return classBatchTopK, append(list, k, array.Of("threshold", nil, m.Theta[:1]))
	case sae.ReLUActivation:
		return classReLU, dictionaryReLU.weights(m)
	case sae.GatedActivation:
		return classGated, append(dictionaryGated.weights(m), array.Of("r_mag", []int{m.M}, m.RMag), array.Of("mag_bias", []int{m.M}, m.BMag))
	case sae.JumpReLUActivation:
		list = dictionaryJump.weights(m)
		list[1] = array.Of("b_enc", []int{m.M}, m.PlainBias())
		return classJump, append(list, threshold(m))
	}
	return "", nil
}

func writeDictionary(dir string, m *sae.Model, o Origin) error {
	class, list := dictionary(m)
	t := dictionaryTraining{Class: class, DIn: m.D, Width: m.M, K: m.K, Layer: o.Layer, Model: o.Model, Hook: cmp.Or(o.Hook.HuggingFace, o.Column), Device: "cpu"}
	sub := filepath.Join(dir, dictionaryTrainer)
	if err := os.Mkdir(sub, 0o755); err != nil {
		return err
	}
	for _, d := range []string{dir, sub} { // beside the weights and above them: both are looked for
		if err := saveJSON(filepath.Join(d, dictionaryCfg), dictionaryConfig{Trainer: t, Buffer: map[string]any{}}); err != nil {
			return err
		}
	}
	return pickle.Save(filepath.Join(sub, dictionaryWeights), pickle.Of(list))
}

// dictionaryHarmless are the keys below trainer of all its trainers that are not about the function.
var dictionaryHarmless = strings.Fields(`
	trainer_class lr steps seed device layer lm_name wandb_name submodule_name warmup_steps sparsity_warmup_steps
	decay_start resample_steps l1_penalty auxk_alpha threshold_beta threshold_start_step top_k_aux k_anneal_steps
	group_fractions group_weights group_sizes bandwidth sparsity_penalty sparsity_function target_l0 p_start p_end
	anneal_start anneal_end sparsity_queue_length n_sparsity_updates use_threshold ghost_threshold ghost_grads
	sparsity_coeff sparsity_coefficient sparsity_loss_queue_length activation_queue_length steps_before_annealing
	lambda_warm_steps lambda norm_factor gp_reg_coeff l0_penalty adaptive_sparsity_penalty p next_p autocast_dtype log_steps verbose io`)

var layoutDictionary = layout{writeDictionary, readDictionary}

func readDictionary(p place) (*sae.Model, error) {
	sub := filepath.Join(p.dir, dictionaryTrainer)
	if _, err := os.Stat(filepath.Join(p.dir, dictionaryWeights)); err == nil { // a trainer's own folder
		sub = p.dir
	}
	s, err := loadSettings(filepath.Join(sub, dictionaryCfg))
	if err != nil {
		return nil, err
	}
	t := s.object("trainer")
	class, k := t.text("dict_class"), t.whole("k")
	dIn, width := t.whole("activation_dim"), t.whole("dict_size")
	t.skip(dictionaryHarmless...)
	s.skip("buffer", "eval_results") // of the data, and of what came out
	d, err := pickle.Load(filepath.Join(sub, dictionaryWeights))
	if err != nil {
		return nil, err
	}
	m, err := fromDictionary(class, d, k)
	if err != nil {
		return nil, err
	}
	t.agree("activation_dim", dIn, m.D)
	t.agree("dict_size", width, m.M)
	if err := t.rest(); err != nil {
		return nil, err
	}
	return m, s.rest()
}

// classes are the names that each class has for its arrays.
var classes = map[string]names{classTopK: dictionaryNames, classBatchTopK: dictionaryNames, classReLU: dictionaryReLU, classFree: dictionaryFree,
	classJump: dictionaryJump, classGated: dictionaryGated, classNested: dictionaryJump}

// fromDictionary is a model of the arrays of a class, with the k that the configuration has.
func fromDictionary(class string, d *pickle.Dict, stated int) (*sae.Model, error) {
	layout, ok := classes[class]
	if !ok {
		return nil, fmt.Errorf("%w: dict_class %q is not read", ErrFormat, class)
	}
	a, err := onlyArrays(d)
	if err != nil {
		return nil, err
	}
	m, err := layout.model(a)
	if err != nil {
		return nil, err
	}
	if err := dictionaryActivation(relu(m), class, a, stated); err != nil {
		return nil, err
	}
	if class == classFree || class == classJump {
		centre(m)
	}
	return m, a.rest()
}

// dictionaryActivation gives a model the activation of its class, which is a ReLU so far.
func dictionaryActivation(m *sae.Model, class string, a arrays, stated int) error {
	switch class {
	case classGated:
		return gated(m, a, "r_mag", "mag_bias")
	case classJump:
		return jumping(m, a, "threshold")
	case classTopK:
		a.skip("threshold") // its encoder keeps k of every row
		return dictionaryK(m, a, stated)
	case classBatchTopK, classNested:
		a.skip("group_sizes")
		return dictionaryOverBatch(m, a, stated)
	}
	return nil
}

// dictionaryK takes k from the arrays, or from the configuration where they are older, which must agree.
func dictionaryK(m *sae.Model, a arrays, stated int) error {
	k := stated
	if a.has("k") {
		var err error
		if k, err = a.whole("k"); err != nil {
			return err
		}
	}
	if stated != 0 && k != stated {
		return fmt.Errorf("%w: k is %d in the weights and %d in %s", ErrFormat, k, stated, dictionaryCfg)
	}
	return withK(m, k)
}

// dictionaryOverBatch takes the one threshold, of which a negative one keeps all that is positive.
func dictionaryOverBatch(m *sae.Model, a arrays, stated int) error {
	theta, err := a.vector("threshold", 1)
	if err != nil {
		return err
	}
	if err := dictionaryK(m, a, stated); err != nil {
		return err
	}
	return overBatch(m, max(theta[0], 0), m.K)
}

// onlyArrays are the arrays of a dictionary that holds nothing else but, in older files, k as a number.
func onlyArrays(d *pickle.Dict) (arrays, error) {
	a := arrays(d.Arrays())
	for i, key := range d.Keys {
		switch v := d.Values[i].(type) {
		case array.Array:
		case int:
			if key == "k" {
				a[key] = array.Of(key, nil, []int64{int64(v)})
				continue
			}
			return nil, fmt.Errorf("%w: the file has %q, a number, among its arrays", ErrFormat, key)
		default:
			return nil, fmt.Errorf("%w: the file has %q, a %T, among its arrays", ErrFormat, key, v)
		}
	}
	return a, nil
}
