package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"actfleet/trainer/sae"
)

// saelensFunction is what cfg.json says of the function.
type saelensFunction struct {
	arch           string
	dIn, dSAE, out int
	centred        bool // the encoder sees x − b_dec
	k              float64
	rescale        bool // latents are chosen by f·‖d‖
	said           bool // whether is in the file
	scaled         bool // latents are multiplied by scaling_factor
	average        bool // vectors are brought to a mean length of √d first
}

// saelensArchs are the architectures that are read.
var saelensArchs = []string{"standard", "gated", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk", "transcoder", "skip_transcoder",
	"jumprelu_transcoder", "jumprelu_skip_transcoder"}

// saelensRules reads cfg.json of any release; what one of before 6 leaves out it means as its own loader took it.
func saelensRules(s *settings) (f saelensFunction, err error) {
	meta := s.object("metadata")
	version := s.text("sae_lens_version")
	if version == "" {
		version = meta.text("sae_lens_version")
	}
	f = saelensFunction{arch: s.text("architecture"), dIn: s.whole("d_in"), dSAE: s.whole("d_sae"), out: s.whole("d_out"),
		said: s.has("rescale_acts_by_decoder_norm"), k: s.number("k")}
	if f.arch == "" {
		f.arch = "standard"
	}
	if !slices.Contains(saelensArchs, f.arch) && s.err == nil {
		return f, fmt.Errorf("%w: architecture %q is not read, only %s", ErrFormat, f.arch, strings.Join(saelensArchs, ", "))
	}
	f.rescale = s.flag("rescale_acts_by_decoder_norm", false)
	f.scaled = s.flag("finetuning_scaling_factor", false)
	f.centred = s.flag("apply_b_dec_to_input", !f.transcodes())
	if err := f.activation(s, major(version) >= 6); err != nil {
		return f, err
	}
	if f.average, err = saelensAverage(s); err != nil {
		return f, err
	}
	if reshape := s.text("reshape_activations"); !slices.Contains([]string{"", "none", "hook_z"}, reshape) {
		return f, fmt.Errorf("%w: reshape_activations %q is not read", ErrFormat, reshape)
	}
	s.skip(saelensHarmless...)
	return f, s.rest()
}

// major is the first number of a version, 0 where there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first)
	return n
}

func (f *saelensFunction) transcodes() bool { return strings.HasSuffix(f.arch, "transcoder") }

// activation takes the activation of the releases before 6, which had TopK as a standard architecture with another
// function.
func (f *saelensFunction) activation(s *settings, six bool) error {
	fn := s.text("activation_fn_str")
	if other := s.text("activation_fn"); fn == "" {
		fn = other
	}
	kwargs := s.object("activation_fn_kwargs")
	if kwargs.flag("signed", false) {
		return fmt.Errorf("%w: activation_fn_kwargs: signed TopK is not read", ErrFormat)
	}
	k := kwargs.number("k")
	if err := kwargs.rest(); err != nil {
		return err
	}
	switch {
	case fn == "topk" && (f.arch == "standard" && !six || f.arch == "topk"):
		f.arch = "topk"
	case fn == "" || fn == "relu":
	default:
		return fmt.Errorf("%w: architecture %q with the activation function %q is not read", ErrFormat, f.arch, fn)
	}
	if k != 0 && f.k != 0 && k != f.k {
		return fmt.Errorf("%w: k is %v and in activation_fn_kwargs %v", ErrFormat, f.k, k)
	}
	if k != 0 && f.arch == "topk" {
		f.k = k
	}
	return nil
}

// saelensAverage tells whether vectors are brought to a mean length first. Other forms change every vector by itself,
// which no weights can.
func saelensAverage(s *settings) (bool, error) {
	raw := string(s.keys["normalize_activations"])
	delete(s.keys, "normalize_activations")
	switch raw {
	case "", "false", `"none"`, `""`:
		return false, nil
	case "true", `"expected_average_only_in"`:
		return true, nil
	}
	return false, fmt.Errorf("%w: normalize_activations is %.60s, which changes vectors before the encoder in a way that no weights hold",
		ErrFormat, raw)
}

var layoutSAELens = layout{writeSAELens, readSAELens}

func readSAELens(p place) (*sae.Model, error) {
	s, err := loadSettings(filepath.Join(p.dir, saelensCfg))
	if err != nil {
		return nil, err
	}
	f, err := saelensRules(s)
	if err != nil {
		return nil, err
	}
	a, err := loadTensors(filepath.Join(p.dir, saelensWeights))
	if err != nil {
		return nil, err
	}
	m, err := f.factored(a)
	if err != nil {
		return nil, err
	}
	s.agree("d_in", f.dIn, m.D)
	s.agree("d_sae", f.dSAE, m.M)
	s.agree("d_out", f.out, m.Outputs())
	if err := errors.Join(s.rest(), a.rest()); err != nil {
		return nil, err
	}
	if f.average {
		return m, unaveraged(m, filepath.Join(p.dir, saelensScaler))
	}
	return m, nil
}

// factored is the function of the arrays with the factors of its latents, if there are some.
func (f *saelensFunction) factored(a arrays) (*sae.Model, error) {
	factors, err := f.factors(a)
	if err != nil {
		return nil, err
	}
	m, err := f.model(a)
	if err == nil && factors != nil {
		if len(factors) != m.M {
			return nil, fmt.Errorf("%w: scaling_factor has %d values for %d latents", ErrFormat, len(factors), m.M)
		}
		latents(m, factors)
	}
	return m, err
}

// factors takes the factors behind the activation that finetuning added. For some time they were saved without being
// used, all 1.
func (f *saelensFunction) factors(a arrays) ([]float32, error) {
	for _, name := range []string{"scaling_factor", "finetuning_scaling_factor"} {
		if !a.has(name) {
			continue
		}
		v, _, err := a.take(name)
		switch {
		case err != nil:
			return nil, err
		case ones(v):
			return nil, nil
		case !f.scaled:
			return nil, fmt.Errorf("%w: %s is not 1 everywhere, and finetuning_scaling_factor does not say that it is used", ErrFormat, name)
		}
		return v, nil
	}
	return nil, nil
}

// unaveraged folds the factor that brings vectors to a mean length of √d, which the file of a training has.
func unaveraged(m *sae.Model, path string) error {
	s, err := loadSettings(path)
	if os.IsNotExist(err) {
		return fmt.Errorf("%w: normalize_activations multiplies vectors by a factor that is in no file here: "+
			`put {"scaling_factor": FACTOR} into %s beside cfg.json, as SAELens's trainings do`, ErrFormat, saelensScaler)
	}
	if err != nil {
		return err
	}
	by := s.number("scaling_factor")
	if err := s.rest(); err != nil {
		return err
	}
	return unscaled(m, by, by)
}

// model is the function of the arrays.
func (f *saelensFunction) model(a arrays) (*sae.Model, error) {
	if f.transcodes() {
		return f.transcoder(a)
	}
	if f.rescale && !strings.HasSuffix(f.arch, "topk") {
		return nil, fmt.Errorf("%w: rescale_acts_by_decoder_norm is not known of architecture %q", ErrFormat, f.arch)
	}
	n := saelensNames
	if f.arch == "gated" {
		n.bEnc = "b_gate"
	}
	m, err := n.model(a)
	if err != nil {
		return nil, err
	}
	if err := f.activate(relu(m), a); err != nil {
		return nil, err
	}
	if !f.centred {
		centre(m)
	}
	return m, nil
}

// activate gives a model its activation, which is a ReLU so far.
func (f *saelensFunction) activate(m *sae.Model, a arrays) error {
	switch f.arch {
	case "gated":
		return gated(m, a, "r_mag", "b_mag")
	case "jumprelu":
		return f.jumps(m, a)
	case "topk":
		return f.topK(m)
	case "batchtopk", "matryoshka_batchtopk":
		return f.overBatch(m, a)
	}
	return nil
}

// jumps takes thresholds, or the logarithms of them that older trainings kept.
func (f *saelensFunction) jumps(m *sae.Model, a arrays) error {
	if !a.has("log_threshold") {
		return jumping(m, a, "threshold")
	}
	if err := jumping(m, a, "log_threshold"); err != nil {
		return err
	}
	exponentials(m.Theta)
	return nil
}

func (f *saelensFunction) topK(m *sae.Model) error {
	if f.k != float64(int(f.k)) {
		return fmt.Errorf("%w: k is %v, and TopK keeps a whole number of latents", ErrFormat, f.k)
	}
	if f.rescale {
		rescale(m)
	}
	return withK(m, int(f.k))
}

// overBatch makes of a training what SAELens makes of it for use: one threshold for all latents.
func (f *saelensFunction) overBatch(m *sae.Model, a arrays) error {
	theta, err := a.vector("topk_threshold", 1)
	if err != nil {
		return err
	}
	if !f.said {
		return fmt.Errorf("%w: %s without rescale_acts_by_decoder_norm: write true or false into %s", ErrFormat, f.arch, saelensCfg)
	}
	if f.rescale {
		rescale(m)
	}
	return overBatch(m, max(theta[0], 0), min(max(int(f.k+0.5), 1), m.M))
}

func (f *saelensFunction) transcoder(a arrays) (*sae.Model, error) {
	if f.centred || f.average {
		return nil, fmt.Errorf("%w: apply_b_dec_to_input %v and normalize_activations of a transcoder are not read", ErrFormat, f.centred)
	}
	m, err := saelensNames.transcoder(a)
	if err != nil {
		return nil, err
	}
	kind, jumps := strings.CutPrefix(f.arch, "jumprelu_")
	if jumps {
		if err := jumping(m, a, "threshold"); err != nil {
			return nil, err
		}
	}
	if kind == "skip_transcoder" {
		return m, skipping(m, a)
	}
	return m, nil
}
