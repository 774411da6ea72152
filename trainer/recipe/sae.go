package recipe

import (
	"errors"
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/sae"
)

// SAE is what an autoencoder, transcoder or crosscoder is learned with. Its keys are documented by Keys.
type SAE struct {
	Arch           string // sae.Arch
	Width, K, AuxK int
	AuxCoef        float64
	DeadTokens     int
	Scale, Tied    bool

	Penalty, Warmup float64 // λ, and over which fraction of the steps it rises
	TargetL0        float64 // that λ is moved towards; 0 is none
	Sparsity        string  // sae.Sparsity
	GroupSize       int     // of group sparsity
	PEnd, PFrom     float64
	Band, Theta     float64 // of JumpReLU
	Preact          float64
	Groups          int // prefixes of Matryoshka
	Sampled         bool

	Optimizer                 string // optim.Name
	Beta1, Beta2, WeightDecay float64
	EMA                       float64

	DataInit float64
	Resample int

	Target     string
	Skip       bool
	Beside     []string
	Importance string
}

func defaultSAE() SAE {
	return SAE{Arch: string(sae.TopK), Width: 2048, K: 32, AuxK: Auto, AuxCoef: 1. / 32, DeadTokens: Auto, Scale: true, Tied: true,
		Penalty: Auto, Warmup: Auto, Sparsity: string(sae.L1), GroupSize: 8, PEnd: 0.2, PFrom: 0.2, Band: Auto, Theta: Auto, Preact: 3e-6, Groups: 5,
		Optimizer: string(optim.ByAdam), Beta1: Auto, Beta2: Auto, WeightDecay: Auto}
}

// fields lists the keys of autoencoders alone.
func (s *SAE) fields(l *Loop) []field {
	return []field{
		{"lr", &l.LR, within(&l.LR, 0, 1e3), "learning rate; 0 is 4e-3·√(2048/width), times 1/4 for signsgd, 4 for adafactor, 5000 for sgd"},
		{"arch", &s.Arch, nil, sae.ArchNames()},
		{"width", &s.Width, size(&s.Width, 1), "number of latents"},
		{"k", &s.K, size(&s.K, 1), "active latents per row (L0), on average for batchtopk and matryoshka; for the other architectures, how many latents the codes list"},
		{"target", &s.Target, nil, "column to predict, such as fc2_3: makes any arch a transcoder"},
		{"skip", &s.Skip, nil, "add a linear skip connection to a transcoder"},
		{"beside", &s.Beside, nil, "columns encoded and reconstructed together with the main one, such as resid_4,resid_3__ia3: makes any arch a crosscoder"},
		{"importance", &s.Importance, nil, "file with a weight for each feature's squared error: a JSON list, or FILE.safetensors#TENSOR"},
		{"tied_bias", &s.Tied, nil, "subtract the decoder bias from the encoder's input; never for relu_april, jumprelu_tanh and transcoders"},
		{"penalty", &s.Penalty, within(&s.Penalty, Auto, 1e6), "sparsity coefficient λ, of L0 for jumprelu, otherwise of the activations, with errors summed over a vector of mean square 1; -1 is 5 for relu_april, else 1"},
		{"penalty_warmup", &s.Warmup, within(&s.Warmup, Auto, 1), "fraction of the steps over which λ rises to its value; -1 is 1 for jumprelu_tanh, else 0.05"},
		{"target_l0", &s.TargetL0, within(&s.TargetL0, 0, 1e9), "active latents of a row, towards which penalty is moved, with relu, relu_april, gated, jumprelu and jumprelu_tanh, which k does not bind; 0 leaves penalty as it is"},
		{"sparsity", &s.Sparsity, nil, "sparsity loss of relu: l1, p_anneal, hoyer, group, group_hoyer"},
		{"group_size", &s.GroupSize, size(&s.GroupSize, 1), "neighbouring latents that form a group (group, group_hoyer)"},
		{"p_end", &s.PEnd, within(&s.PEnd, 0, 1), "final exponent p of p_anneal"},
		{"p_from", &s.PFrom, within(&s.PFrom, 0, 1), "fraction of the steps after which p falls"},
		{"bandwidth", &s.Band, within(&s.Band, Auto, 1e3), "bandwidth of jumprelu's straight-through gradients; -1 is 2 for jumprelu_tanh, else 0.5"},
		{"threshold", &s.Theta, within(&s.Theta, Auto, 1e3), "initial threshold of jumprelu; -1 is 0.1 for jumprelu_tanh, else 0.3"},
		{"preact", &s.Preact, within(&s.Preact, 0, 1e3), "coefficient of the pre-activation loss, which revives dead latents of jumprelu_tanh"},
		{"groups", &s.Groups, size(&s.Groups, 1), "nested prefixes of matryoshka, each twice as long as the one before"},
		{"sampled", &s.Sampled, nil, "matryoshka samples its prefixes anew every step"},
		{"optimizer", &s.Optimizer, nil, "adam, adamw, sparse_adam, sgd, adafactor, signsgd (schedule-free: set cooldown=0)"},
		{"beta1", &s.Beta1, within(&s.Beta1, Auto, 1), "first moment decay, the momentum of sgd and signsgd; -1 is 0.95 for signsgd, else 0.9"},
		{"beta2", &s.Beta2, within(&s.Beta2, Auto, 1), "second moment decay; -1 is 0.999"},
		{"weight_decay", &s.WeightDecay, within(&s.WeightDecay, Auto, 1e3), "weight decay of adamw, sgd and adafactor; -1 is 0.01 for adamw, else 0"},
		{"ema", &s.EMA, within(&s.EMA, 0, 1-1e-9), "decay of an exponential moving average of the weights, which is then evaluated and saved; 0 uses the last weights"},
		{"cosine", &l.Cosine, nil, "cosine instead of linear learning rate decay"},
		{"data_init", &s.DataInit, within(&s.DataInit, 0, 1), "initialise decoder directions from sampled rows, blended in by this fraction"},
		{"resample_steps", &s.Resample, atLeast(&s.Resample, 0), "steps between resamplings of dead latents, in the first half of training; 0 is never"},
		{"aux_k", &s.AuxK, size(&s.AuxK, Auto), "dead latents that the auxiliary loss uses; -1 is half the length of the vector"},
		{"aux_coef", &s.AuxCoef, within(&s.AuxCoef, 0, 1e3), "coefficient of the auxiliary loss"},
		{"dead_tokens", &s.DeadTokens, atLeast(&s.DeadTokens, Auto), "rows without firing after which a latent counts as dead; -1 is a tenth of the training, at most ten million"},
		{"scale", &s.Scale, nil, "scale vectors to mean square 1 (folded into the weights at the end)"},
	}
}

// problems checks values against each other.
func (s SAE) problems() (errs []error) {
	if _, err := sae.ParseArch(s.Arch); err != nil {
		errs = append(errs, fmt.Errorf("arch: %w", err))
	}
	if s.K > s.Width {
		errs = append(errs, fmt.Errorf("k is %d, but width is only %d", s.K, s.Width))
	}
	if s.TargetL0 > 0 && sae.Arch(s.Arch).BoundByK() {
		errs = append(errs, fmt.Errorf("target_l0 is for architectures with a penalty: of %s k is the number of active latents", s.Arch))
	}
	if s.TargetL0 > float64(s.Width) || s.TargetL0 > 0 && s.Penalty == 0 {
		errs = append(errs, fmt.Errorf("target_l0 is %v: it must be at most width (%d), and needs a penalty above 0", s.TargetL0, s.Width))
	}
	if s.Skip && s.Target == "" {
		errs = append(errs, errors.New("skip is for transcoders: set target"))
	}
	if s.Target != "" && len(s.Beside) > 0 {
		errs = append(errs, errors.New("target and beside do not go together"))
	}
	if _, err := optim.ParseName(s.Optimizer); err != nil {
		errs = append(errs, err)
	}
	if s.Sparsity != string(sae.L1) && !sae.Arch(s.Arch).TakesSparsity() {
		errs = append(errs, fmt.Errorf("sparsity %s is for arch relu", s.Sparsity))
	}
	return errs
}

// The greatest dead_tokens that Auto gives: what most published trainings use.
const maxDeadTokens = 10_000_000

// lrAt2048 is the learning rate for 2048 latents and vectors brought to unit mean
// square, the best of 2e-3, 4e-3 and 8e-3 over 500 steps on sparse sums of 1024
// directions; it falls with the root of the width as others scale theirs.
const lrAt2048 = 4e-3

// lrScale is an optimizer's learning rate in multiples of Adam's, about the best on planted directions.
func lrScale(n optim.Name) float64 {
	switch n {
	case optim.BySGD:
		return 5000
	case optim.ByAdafactor:
		return 4
	case optim.BySignSGD:
		return 0.25
	}
	return 1
}

// resolve replaces what the architecture and the data decide, for vectors of length d.
func (s *SAE) resolve(l *Loop, d int) {
	if l.LR == 0 {
		l.LR = lrAt2048 * lrScale(optim.Name(s.Optimizer)) * math.Sqrt(2048/float64(s.Width))
	}
	if s.DeadTokens == Auto {
		total := float64(l.Steps) * float64(l.Batch)
		s.DeadTokens = int(math.Min(maxDeadTokens, math.Max(total/10, float64(8*l.Batch))))
	}
	auto := func(v *float64, usual float64) {
		if *v == Auto {
			*v = usual
		}
	}
	arch, optimizer := sae.Arch(s.Arch).Defaults(d), optim.Default(optim.Name(s.Optimizer))
	auto(&s.Penalty, arch.Penalty)
	auto(&s.Warmup, arch.Warmup)
	auto(&s.Band, arch.Bandwidth)
	auto(&s.Theta, arch.Theta)
	auto(&s.Beta1, optimizer.Beta1)
	auto(&s.Beta2, optimizer.Beta2)
	auto(&s.WeightDecay, optimizer.Decay)
	if s.AuxK == Auto || arch.AuxK == 0 {
		s.AuxK = arch.AuxK
	}
}

// Learner is the config of a learner of rows whose vectors have these lengths.
func (s SAE) Learner(l Loop, seed uint64, widths []int) (sae.Config, error) {
	steps := func(share float64) int { return int(share * float64(l.Steps)) }
	out := sae.Config{Arch: sae.Arch(s.Arch), Width: s.Width, K: s.K, AuxK: s.AuxK, AuxCoef: s.AuxCoef, DeadTokens: s.DeadTokens,
		Clip: l.Clip, Scale: s.Scale, Untied: !s.Tied, Steps: l.Steps, Seed: seed,
		Penalty: s.Penalty, Warmup: steps(s.Warmup), TargetL0: s.TargetL0, Sparsity: sae.Sparsity(s.Sparsity), GroupSize: s.GroupSize, PEnd: s.PEnd, PFrom: steps(s.PFrom),
		Bandwidth: s.Band, Theta: s.Theta, Preact: s.Preact, Prefixes: s.Groups, Sampled: s.Sampled,
		Optimizer: optim.Config{Name: optim.Name(s.Optimizer), Beta1: s.Beta1, Beta2: s.Beta2, Decay: s.WeightDecay}, EMA: s.EMA,
		DataInit: s.DataInit, Resample: s.Resample, Skip: s.Skip}
	length := 0
	for _, w := range widths {
		length += w
	}
	switch {
	case s.Target != "":
		out.Target = widths[len(widths)-1]
		length = out.Target
	case len(s.Beside) > 0:
		out.Parts = widths
	}
	var err error
	if s.Importance != "" {
		out.Importance, err = readImportance(s.Importance, length)
	}
	return out, err
}
