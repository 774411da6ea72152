package export

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/sae"
)

var sparsifyNames = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "W_dec", bDec: "b_dec"}

const (
	sparsifyCfg     = "cfg.json"
	sparsifyWeights = "sae.safetensors"
)

// sparsifyConfig is cfg.json. With transcode the same arrays mean an encoder without x − b_d.
type sparsifyConfig struct {
	Activation string `json:"activation"`
	Expansion  int    `json:"expansion_factor"`
	Normalize  bool   `json:"normalize_decoder"`
	Latents    int    `json:"num_latents"`
	K          int    `json:"k"`
	MultiTopK  bool   `json:"multi_topk"`
	Skip       bool   `json:"skip_connection"`
	Transcode  bool   `json:"transcode"`
	DIn        int    `json:"d_in"`
}

func writeSparsify(dir string, m *sae.Model, _ Origin) error {
	c := sparsifyConfig{Activation: "topk", Expansion: max(m.M/m.D, 1), Normalize: true, Latents: m.M, K: m.K, DIn: m.D,
		Transcode: m.Out > 0, Skip: m.WSkip != nil} // with multi_topk its forward would return the 4k latents' reconstruction
	list := sparsifyNames.weights(m)
	if c.Skip {
		list = append(list, skip(m))
	}
	if err := saveJSON(filepath.Join(dir, sparsifyCfg), c); err != nil {
		return err
	}
	return saveTensors(filepath.Join(dir, sparsifyWeights), list)
}

func readSparsify(dir string) (*sae.Model, error) {
	c := sparsifyConfig{Activation: "topk"}
	if err := loadJSON(filepath.Join(dir, sparsifyCfg), &c); err != nil {
		return nil, err
	}
	if c.Activation != "topk" || c.Skip && !c.Transcode {
		return nil, fmt.Errorf("%w: activation %q with skip_connection %v and transcode %v is not read", ErrFormat, c.Activation, c.Skip, c.Transcode)
	}
	a, err := loadTensors(filepath.Join(dir, sparsifyWeights))
	if err != nil {
		return nil, err
	}
	read := sparsifyNames.model
	if c.Transcode {
		read = sparsifyNames.transcoder
	}
	m, err := read(a)
	if err == nil && c.Skip {
		m, err = skipping(m, a)
	}
	if err != nil {
		return nil, err
	}
	return withK(m, c.K)
}
