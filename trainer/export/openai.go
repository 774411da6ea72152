package export

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/sae"
)

var openaiNames = names{wEnc: "encoder.weight", bEnc: "latent_bias", wDec: "decoder.weight", bDec: "pre_bias", decT: true}

const openaiWeights = "autoencoder.pt"

func writeOpenAI(dir string, m *sae.Model, _ Origin) error {
	d := ofArrays(openaiNames.weights(m))
	d.add("stats_last_nonzero", array{shape: []int{m.M}, data: make([]int64, m.M)})
	d.add("latents_activation_frequency", array{shape: []int{m.M}, data: make([]float32, m.M)})
	d.add("latents_mean_square", array{shape: []int{m.M}, data: make([]float32, m.M)})
	act := &dict{}
	if m.Arch.Activation() == sae.TopKActivation {
		d.add("activation", "TopK")
		act.add("k", m.K)
		act.add("postact_fn", "ReLU")
	} else {
		d.add("activation", "ReLU")
	}
	d.add("activation_state_dict", act)
	return saveTorch(filepath.Join(dir, openaiWeights), d)
}

func readOpenAI(dir string) (*sae.Model, error) {
	d, err := loadTorch(filepath.Join(dir, openaiWeights))
	if err != nil {
		return nil, err
	}
	m, err := openaiNames.model(d.arrays())
	if err != nil {
		return nil, err
	}
	name, _ := d.get("activation").(string)
	act, _ := d.get("activation_state_dict").(*dict)
	if name == "ReLU" {
		return relu(m), nil
	}
	if name != "TopK" || act == nil {
		return nil, fmt.Errorf("%w: activation %q is not read", ErrFormat, name)
	}
	k, _ := act.get("k").(int)
	return withK(m, k)
}
