package export

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

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

// gemma is what the configuration says of the function.
type gemma struct {
	kind         string // sae, transcoder or not said
	width        int
	affine, said bool // there is a skip, and whether that is said
}

func gemmaRules(s *settings) (f gemma, err error) {
	arch := s.text("architecture")
	f = gemma{kind: s.text("type"), width: s.whole("width"), said: s.has("affine_connection")}
	f.affine = s.flag("affine_connection", false)
	if arch != "" && arch != "jump_relu" {
		return f, fmt.Errorf("%w: architecture %q is not read", ErrFormat, arch)
	}
	if !slices.Contains([]string{"", "sae", "transcoder"}, f.kind) {
		return f, fmt.Errorf("%w: type %q is not read, only sae and transcoder", ErrFormat, f.kind)
	}
	s.skip("hf_hook_point_in", "hf_hook_point_out", "model_name", "l0", "layer", "hook_type", "dtype", "d_in", "d_out")
	return f, s.rest()
}

var layoutGemmaScope2 = layout{nil, readGemmaScope2}

func readGemmaScope2(p place) (*sae.Model, error) {
	s, err := loadSettings(filepath.Join(p.dir, gemmaCfg))
	if errors.Is(err, fs.ErrNotExist) { // some of its repositories have none
		s, err = &settings{name: gemmaCfg}, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := gemmaRules(s)
	if err != nil {
		return nil, err
	}
	a, err := loadTensors(filepath.Join(p.dir, p.name(gemmaWeights)))
	if err != nil {
		return nil, err
	}
	skips := a.has(gemmaSkip)
	if f.said && skips != f.affine || skips && f.kind == "sae" {
		return nil, fmt.Errorf("%w: affine_connection is %v of a %q, the array %s is there: %v", ErrFormat, f.affine, f.kind, gemmaSkip, skips)
	}
	m, err := gemmaModel(a, f.kind == "transcoder" || f.kind == "" && (skips || p.transcoder))
	if err != nil {
		return nil, err
	}
	s.agree("width", f.width, m.M)
	return m, errors.Join(s.rest(), a.rest())
}

func gemmaModel(a arrays, transcoder bool) (*sae.Model, error) {
	if err := oneLayer(a, gemmaNames.wDec); err != nil {
		return nil, err
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

// oneLayer refuses a decoder that writes to several layers.
func oneLayer(a arrays, name string) error {
	if shape := a[name].Shape; len(shape) == 3 {
		return fmt.Errorf("%w: %s of the shape %v is of a cross-layer transcoder (CLT) or a crosscoder, which are not read", ErrFormat, name, shape)
	}
	return nil
}
