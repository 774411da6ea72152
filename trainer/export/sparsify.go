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

var layoutSparsify = layout{writeSparsify, readSparsify}

func readSparsify(p place) (*sae.Model, error) {
	s, err := loadSettings(filepath.Join(p.dir, sparsifyCfg))
	if err != nil {
		return nil, err
	}
	activation, signed := s.text("activation"), s.flag("signed", false)
	skips, transcodes := s.flag("skip_connection", false), s.flag("transcode", false)
	k, dIn, latents := s.whole("k"), s.whole("d_in"), s.whole("num_latents")
	if k == 0 {
		k = 32 // what the program takes where the key is not there
	}
	s.skip("expansion_factor", "normalize_decoder", "multi_topk") // of the training
	if activation != "" && activation != "topk" || signed {
		return nil, fmt.Errorf("%w: activation %q with signed %v is not read, only topk", ErrFormat, activation, signed)
	}
	a, err := loadTensors(filepath.Join(p.dir, sparsifyWeights))
	if err != nil {
		return nil, err
	}
	m, err := sparsifyModel(a, transcodes, skips, p.transcoder)
	if err != nil {
		return nil, err
	}
	s.agree("d_in", dIn, m.D)
	s.agree("num_latents", latents, m.M)
	if err := s.rest(); err != nil {
		return nil, err
	}
	return m, withK(m, k)
}

// sparsifyModel is a model of the arrays. One that encodes x − b_dec and adds W_skip x is no autoencoder of ours, but
// a transcoder of a vector to itself.
func sparsifyModel(a arrays, transcodes, skips, transcoder bool) (*sae.Model, error) {
	if skips && !transcodes && !transcoder {
		return nil, fmt.Errorf("%w: an autoencoder with skip_connection: read it as a transcoder, with --target the same as --column", ErrFormat)
	}
	read := sparsifyNames.model
	if transcodes || skips {
		read = sparsifyNames.transcoder
	}
	m, err := read(a)
	if err != nil {
		return nil, err
	}
	if skips && !transcodes {
		for i := range m.BEnc {
			m.BEnc[i] -= dot(m.WEnc[i*m.D:(i+1)*m.D], m.BDec)
		}
	}
	if skips {
		if err := skipping(m, a); err != nil {
			return nil, err
		}
	}
	return m, a.rest()
}

func dot(a, b []float32) float32 {
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}
