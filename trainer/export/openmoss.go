package export

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/trainer/sae"
)

// Llama Scope and what else OpenMOSS's programs wrote: hyperparams.json with checkpoints/final.safetensors, later
// config.json with sae_weights.safetensors. Vectors are brought to a mean length of √d first, thresholds are in
// those units, and the reconstruction is brought back.
var openmossNames = names{wEnc: "encoder.weight", bEnc: "encoder.bias", wDec: "decoder.weight", bDec: "decoder.bias", decT: true}

const (
	openmossCfg     = "hyperparams.json"
	openmossWeights = "checkpoints/final.safetensors"
	openmossNorm    = "dataset_average_activation_norm"
	openmossLog     = "log_jumprelu_threshold"
)

var openmossHarmless = strings.Fields(`
	hook_point_in hook_point_out expansion_factor dtype device seed jumprelu_threshold_window use_triton_kernel
	sparsity_threshold_for_triton_spmm_kernel force_unit_decoder_norm strict_loading sae_pretrained_name_or_path
	bias_init_method decoder_exactly_fixed_norm init_decoder_norm init_encoder_norm init_encoder_with_decoder_transpose
	lp l1_coefficient l1_coefficient_warmup_steps initial_k k_warmup_steps use_batch_norm_mse use_ghost_grads tp_size
	ddp_size run_name exp_name exp_result_path exp_result_dir`)

// openmoss is what the configuration says of the function.
type openmoss struct {
	act, norm        string
	in, out          string // the places it reads and predicts
	dModel, dSAE, k  int
	theta            float64
	normIn, normOut  float64 // mean lengths, 0 where the configuration has none
	centred, rescale bool
}

func openmossRules(s *settings) (f openmoss, err error) {
	f = openmoss{act: strings.ToLower(s.text("act_fn")), norm: s.text("norm_activation"), dModel: s.whole("d_model"), dSAE: s.whole("d_sae"),
		k: s.whole("top_k"), theta: s.number("jump_relu_threshold"), centred: s.flag("apply_decoder_bias_to_pre_encoder", false),
		rescale: s.flag("sparsity_include_decoder_norm", false)}
	if !s.flag("use_decoder_bias", true) || s.flag("use_glu_encoder", false) {
		return f, fmt.Errorf("%w: use_decoder_bias false and use_glu_encoder true are not read", ErrFormat)
	}
	if !slices.Contains([]string{"relu", "jumprelu", "topk"}, f.act) {
		return f, fmt.Errorf("%w: act_fn %q is not read", ErrFormat, f.act)
	}
	if !slices.Contains([]string{"", "none", "inference", "dataset-wise"}, f.norm) {
		return f, fmt.Errorf("%w: norm_activation %q changes every vector by itself, which no weights hold", ErrFormat, f.norm)
	}
	if kind := s.text("sae_type"); kind != "" && kind != "sae" {
		return f, fmt.Errorf("%w: sae_type %q is not read, only sae", ErrFormat, kind)
	}
	for key, into := range map[string]*string{"hook_point_in": &f.in, "hook_point_out": &f.out} {
		*into = s.text(key)
	}
	average := s.object(openmossNorm)
	f.normIn, f.normOut = average.number("in"), average.number("out")
	if f.normOut == 0 {
		f.normOut = f.normIn
	}
	s.skip(openmossHarmless...)
	return f, errors.Join(average.rest(), s.rest())
}

var layoutOpenMOSS = layout{nil, readOpenMOSS}

func readOpenMOSS(p place) (*sae.Model, error) {
	cfg, weights := openmossCfg, openmossWeights
	if _, err := os.Stat(filepath.Join(p.dir, cfg)); err != nil {
		cfg, weights = gemmaCfg, saelensWeights
	}
	s, err := loadSettings(filepath.Join(p.dir, cfg))
	if err != nil {
		return nil, err
	}
	f, err := openmossRules(s)
	if err != nil {
		return nil, err
	}
	a, err := loadTensors(filepath.Join(p.dir, weights))
	if err != nil {
		return nil, err
	}
	if err := f.lengths(a); err != nil {
		return nil, err
	}
	m, err := f.model(a)
	if err != nil {
		return nil, err
	}
	s.agree("d_model", f.dModel, m.D)
	s.agree("d_sae", f.dSAE, m.M)
	return m, errors.Join(s.rest(), a.rest())
}

// lengths takes the mean lengths of vectors from the arrays where later files have them.
func (f *openmoss) lengths(a arrays) error {
	for _, name := range a.names() {
		hook, ok := strings.CutPrefix(name, openmossNorm+".")
		if !ok {
			continue
		}
		v, err := a.vector(name, 1)
		if err != nil {
			return err
		}
		if hook == f.in || hook == "in" {
			f.normIn = float64(v[0])
		}
		if hook == f.out || hook == "out" || f.out == "" {
			f.normOut = float64(v[0])
		}
	}
	return nil
}

func (f *openmoss) model(a arrays) (*sae.Model, error) {
	transcoder := f.out != "" && f.out != f.in
	if transcoder && f.centred {
		return nil, fmt.Errorf("%w: a transcoder with apply_decoder_bias_to_pre_encoder is not read", ErrFormat)
	}
	read := openmossNames.model
	if transcoder {
		read = openmossNames.transcoder
	}
	m, err := read(a)
	if err != nil {
		return nil, err
	}
	if err := f.activate(m, a); err != nil {
		return nil, err
	}
	if !transcoder && !f.centred {
		centre(m)
	}
	if f.norm != "dataset-wise" {
		return m, nil
	}
	root := math.Sqrt(float64(m.D))
	return m, unscaled(m, root/f.normIn, root/f.normOut)
}

func (f *openmoss) activate(m *sae.Model, a arrays) error {
	relu(m)
	switch f.act {
	case "topk":
		if f.rescale {
			rescale(m)
		}
		return withK(m, f.k)
	case "jumprelu":
		if a.has(openmossLog) {
			err := jumping(m, a, openmossLog)
			exponentials(m.Theta)
			return err
		}
		if err := overBatch(m, float32(max(f.theta, 0)), 1); err != nil {
			return err
		}
		m.Arch, m.K = sae.JumpReLU, 0
	}
	return nil
}
