package export

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"actfleet/internal/pickle"
	"actfleet/trainer/sae"
)

// Releases that are one .pt file and no configuration: Goodfire's and DeepSeek R1's are a ReLU of x itself, Qwen
// Scope's a TopK of x itself whose k is in the name of its repository alone, those of attention outputs with
// a NAME_cfg.json beside a ReLU of x − b_dec.
var (
	goodfireNames = names{wEnc: "encoder_linear.weight", bEnc: "encoder_linear.bias", wDec: "decoder_linear.weight", bDec: "decoder_linear.bias", decT: true}
	linearNames   = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "decoder.bias", decT: true}
	qwenNames     = names{wEnc: "W_enc", bEnc: "b_enc", wDec: "W_dec", bDec: "b_dec", decT: true}
)

var layoutTorch = layout{nil, readTorch}

func readTorch(p place) (*sae.Model, error) {
	path := filepath.Join(p.dir, p.file)
	d, err := pickle.Load(path)
	if err != nil {
		return nil, err
	}
	a, err := onlyArrays(d)
	if err != nil {
		return nil, err
	}
	m, err := torchModel(a, path)
	if err != nil {
		return nil, err
	}
	return m, a.rest()
}

func torchModel(a arrays, path string) (*sae.Model, error) {
	switch {
	case a.has(goodfireNames.wEnc):
		return plainReLU(goodfireNames, a)
	case a.has(linearNames.wEnc) && a.has(linearNames.bDec):
		return plainReLU(linearNames, a)
	case !a.has("W_enc"):
		return nil, fmt.Errorf("%w: no release that is read has the arrays %.200s in one file", ErrFormat, strings.Join(a.names(), ", "))
	}
	s, err := loadSettings(strings.TrimSuffix(path, filepath.Ext(path)) + "_cfg.json")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return qwen(a, path)
	case err != nil:
		return nil, err
	}
	m, err := saelensNames.model(a)
	if err != nil {
		return nil, err
	}
	s.agree("act_size", s.whole("act_size"), m.D)
	s.agree("dict_size", s.whole("dict_size"), m.M)
	return relu(m), s.err // the other keys are of the training
}

// plainReLU is a ReLU of x itself.
func plainReLU(n names, a arrays) (*sae.Model, error) {
	m, err := n.plain(a, false)
	if err != nil {
		return nil, err
	}
	return relu(m), nil
}

var (
	qwenFile = regexp.MustCompile(`^layer\d+\.sae\.pt$`)
	qwenK    = regexp.MustCompile(`L0_(\d+)`)
)

// qwen reads Qwen Scope, of whose function k is in a folder's name.
func qwen(a arrays, path string) (*sae.Model, error) {
	if !qwenFile.MatchString(filepath.Base(path)) {
		return nil, fmt.Errorf("%w: %s has neither a configuration nor a name that a release is known by", ErrFormat, path)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	found := qwenK.FindAllStringSubmatch(full, -1)
	if found == nil {
		return nil, fmt.Errorf("%w: k of a Qwen Scope is in the name of its repository alone: "+
			"keep the file in a folder of that name, such as SAE-Res-Qwen3-1.7B-Base-W32K-L0_50", ErrFormat)
	}
	k, err := strconv.Atoi(found[len(found)-1][1])
	if err != nil {
		return nil, fmt.Errorf("%w: k of %s: %v", ErrFormat, path, err)
	}
	m, err := qwenNames.plain(a, false)
	if err != nil {
		return nil, err
	}
	return m, withK(m, k)
}
