package export

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"actfleet/trainer/sae"
)

// Gemma Scope 2 has config.json and params.safetensors; autoencoders and transcoders have the same arrays, and
// a skip [d, out] besides. The encoder sees x itself.
var gemmaNames = names{wEnc: "w_enc", bEnc: "b_enc", wDec: "w_dec", bDec: "b_dec", encT: true}

const (
	gemmaCfg     = "config.json"
	gemmaWeights = "params.safetensors"
	gemmaSkip    = "affine_skip_connection"
)

func readGemmaScope2(p place) (*sae.Model, error) {
	s, err := loadSettings(filepath.Join(p.dir, gemmaCfg))
	if errors.Is(err, fs.ErrNotExist) { // some of its repositories have none
		s, err = &settings{name: gemmaCfg}, nil
	}
	if err != nil {
		return nil, err
	}
	arch, kind, width := s.text("architecture"), s.text("type"), s.whole("width")
	said, affine := s.has("affine_connection"), s.flag("affine_connection", false)
	s.skip("hf_hook_point_in", "hf_hook_point_out", "model_name", "l0", "layer", "hook_type", "dtype", "d_in", "d_out")
	if err := s.rest(); err != nil {
		return nil, err
	}
	if arch != "" && arch != "jump_relu" {
		return nil, fmt.Errorf("%w: architecture %q is not read", ErrFormat, arch)
	}
	a, err := loadTensors(filepath.Join(p.dir, p.name(gemmaWeights)))
	if err != nil {
		return nil, err
	}
	skips := a.has(gemmaSkip)
	if said && skips != affine || skips && kind == "sae" {
		return nil, fmt.Errorf("%w: affine_connection is %v of a %q, the array %s is there: %v", ErrFormat, affine, kind, gemmaSkip, skips)
	}
	transcoder, err := gemmaTranscodes(kind, skips || p.transcoder)
	if err != nil {
		return nil, err
	}
	m, err := gemmaModel(a, transcoder)
	if err != nil {
		return nil, err
	}
	s.agree("width", width, m.M)
	return m, errors.Join(s.rest(), a.rest())
}

// gemmaTranscodes tells by its type whether a model predicts another vector, or by what else is known where it has
// none.
func gemmaTranscodes(kind string, otherwise bool) (bool, error) {
	switch kind {
	case "sae":
		return false, nil
	case "transcoder":
		return true, nil
	case "":
		return otherwise, nil
	}
	return false, fmt.Errorf("%w: type %q is not read, only sae and transcoder", ErrFormat, kind)
}

func gemmaModel(a arrays, transcoder bool) (*sae.Model, error) {
	if dec := a["w_dec"]; len(dec.Shape) == 3 {
		return nil, fmt.Errorf("%w: w_dec of the shape %v is of a cross-layer transcoder (CLT) or a crosscoder, which are not read", ErrFormat, dec.Shape)
	}
	m, err := gemmaNames.plain(a, transcoder)
	if err != nil {
		return nil, err
	}
	if err := jumping(m, a, "threshold"); err != nil || !a.has(gemmaSkip) {
		return m, err
	}
	v, rows, cols, err := a.matrix(gemmaSkip)
	if err == nil && (rows != m.D || cols != m.Out) {
		err = fmt.Errorf("%w: %s is of %d×%d, not %d×%d", ErrFormat, gemmaSkip, rows, cols, m.D, m.Out)
	}
	if err == nil {
		m.Skip, m.WSkip = true, transpose(v, rows, cols)
	}
	return m, err
}
