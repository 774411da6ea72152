package export

import (
	"fmt"
	"path/filepath"

	"actfleet/internal/array"
	"actfleet/internal/pickle"
	"actfleet/trainer/sae"
)

var openaiNames = names{wEnc: "encoder.weight", bEnc: "latent_bias", wDec: "decoder.weight", bDec: "pre_bias", decT: true}

const (
	openaiWeights = "autoencoder.pt"
	// openaiNormalize, among the settings of TopK, says whether rows are normalised first: the program itself does so
	// for every TopK and looks at no key.
	openaiNormalize = "normalize"
)

func writeOpenAI(dir string, m *sae.Model, _ Origin) error {
	d := pickle.Of(openaiNames.weights(m))
	d.Add("stats_last_nonzero", array.Of("", []int{m.M}, make([]int64, m.M)))
	d.Add("latents_activation_frequency", array.Of("", []int{m.M}, make([]float32, m.M)))
	d.Add("latents_mean_square", array.Of("", []int{m.M}, make([]float32, m.M)))
	act := &pickle.Dict{}
	if m.Arch.Activation() == sae.TopKActivation {
		d.Add("activation", "TopK")
		act.Add("k", m.K)
		act.Add("postact_fn", "ReLU")
		act.Add(openaiNormalize, false)
	} else {
		d.Add("activation", "ReLU")
	}
	d.Add("activation_state_dict", act)
	return pickle.Save(filepath.Join(dir, openaiWeights), d)
}

var layoutOpenAI = layout{writeOpenAI, readOpenAI}

func readOpenAI(p place) (*sae.Model, error) {
	d, err := pickle.Load(filepath.Join(p.dir, openaiWeights))
	if err != nil {
		return nil, err
	}
	a := arrays(d.Arrays())
	m, err := openaiNames.model(a)
	if err != nil {
		return nil, err
	}
	a.skip("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
	if err := a.rest(); err != nil {
		return nil, err
	}
	name, _ := d.Get("activation").(string)
	act, _ := d.Get("activation_state_dict").(*pickle.Dict)
	if name == "ReLU" {
		return relu(m), nil
	}
	if name != "TopK" || act == nil || act.Get("postact_fn") != "ReLU" {
		return nil, fmt.Errorf("%w: activation %q is not read", ErrFormat, name)
	}
	if normalize, said := act.Get(openaiNormalize).(bool); normalize || !said {
		return nil, fmt.Errorf("%w: openai's TopK normalises every row by itself first, which no weights hold", ErrFormat)
	}
	k, _ := act.Get("k").(int)
	return m, withK(m, k)
}
