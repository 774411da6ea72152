package trainer

import (
	"errors"
	"fmt"
	"slices"

	"actfleet/trainer/coder"
	"actfleet/trainer/optim"
	"actfleet/trainer/sae"
)

// saeConfig is what belongs to autoencoders alone.
type saeConfig struct {
	Width, K, AuxK int
	AuxCoef        float64
	DeadTokens     int
	Scale, Tied    bool

	Penalty, Rise float64
	Sparsity      string
	GroupSize     int
	PEnd, PFrom   float64
	Band, Theta   float64
	Preact        float64
	Groups        int
	Sampled       bool

	Optimizer                 string
	Beta1, Beta2, WeightDecay float64
	EMA                       float64
	Cosine                    bool

	DataInit float64
	Resample int

	Target     string
	Skip       bool
	Beside     []string
	Importance string
}

func defaultSAE() saeConfig {
	return saeConfig{Width: 2048, K: 32, AuxK: Auto, AuxCoef: 1. / 32, DeadTokens: Auto, Scale: true, Tied: true,
		Penalty: Auto, Rise: Auto, Sparsity: string(sae.L1), GroupSize: 8, PEnd: 0.2, PFrom: 0.2, Band: Auto, Theta: Auto, Preact: 3e-6, Groups: 5,
		Optimizer: string(optim.ByAdam), Beta1: Auto, Beta2: Auto, WeightDecay: Auto}
}

// saeFields lists the keys of autoencoders alone.
func (c *Config) saeFields() []field {
	return []field{
		{"arch", coder.SAE, &c.Arch, nil, sae.ArchNames()},
		{"width", coder.SAE, &c.Width, atLeast(&c.Width, 1), "latents"},
		{"k", coder.SAE, &c.K, atLeast(&c.K, 1), "active latents of a row, with batchtopk and matryoshka on average; the others' codes list so many"},
		{"target", coder.SAE, &c.Target, nil, "column to be predicted, such as fc2_3: makes any arch a transcoder"},
		{"skip", coder.SAE, &c.Skip, nil, "a transcoder also has a linear map"},
		{"beside", coder.SAE, &c.Beside, nil, "columns to be seen and reconstructed together with its own, such as resid_4,resid_3__ia3: makes any arch a crosscoder"},
		{"importance", coder.SAE, &c.Importance, nil, "file with a weight for every feature's squared error: a JSON list, or FILE.safetensors#TENSOR"},
		{"tied_bias", coder.SAE, &c.Tied, nil, "the encoder sees x less the decoder's bias; never with relu_april, jumprelu_tanh and transcoders"},
		{"penalty", coder.SAE, &c.Penalty, within(&c.Penalty, Auto, 1e6), "price of a latent's activation, with jumprelu of its being active, where errors are summed over a vector of mean square 1; -1 is 5 for relu_april, else 1"},
		{"penalty_rise", coder.SAE, &c.Rise, within(&c.Rise, Auto, 1), "share of the steps over which the penalty rises; -1 is 1 for jumprelu_tanh, else 0.05"},
		{"sparsity", coder.SAE, &c.Sparsity, nil, "what relu pays for: l1, p_anneal, hoyer, group, group_hoyer"},
		{"group_size", coder.SAE, &c.GroupSize, atLeast(&c.GroupSize, 1), "neighbouring latents that make a group"},
		{"p_end", coder.SAE, &c.PEnd, within(&c.PEnd, 0, 1), "exponent that p_anneal falls towards"},
		{"p_from", coder.SAE, &c.PFrom, within(&c.PFrom, 0, 1), "share of the steps after which it falls"},
		{"bandwidth", coder.SAE, &c.Band, within(&c.Band, Auto, 1e3), "of jumprelu's gradients; -1 is 2 for jumprelu_tanh, else 0.5"},
		{"threshold", coder.SAE, &c.Theta, within(&c.Theta, Auto, 1e3), "of jumprelu at the start; -1 is 0.1 for jumprelu_tanh, else 0.3"},
		{"preact", coder.SAE, &c.Preact, within(&c.Preact, 0, 1e3), "price of a pre-activation's distance below the threshold, which revives latents of jumprelu_tanh"},
		{"groups", coder.SAE, &c.Groups, atLeast(&c.Groups, 1), "prefixes of matryoshka, each twice the one before"},
		{"sampled", coder.SAE, &c.Sampled, nil, "matryoshka draws its prefixes anew for every step"},
		{"optimizer", coder.SAE, &c.Optimizer, nil, "adam, adamw, sparse_adam, sgd, adafactor, signsgd (schedule-free: set cooldown=0)"},
		{"beta1", coder.SAE, &c.Beta1, within(&c.Beta1, Auto, 1), "of the optimizer, the momentum of sgd and signsgd; -1 is 0.95 for signsgd, else 0.9"},
		{"beta2", coder.SAE, &c.Beta2, within(&c.Beta2, Auto, 1), "of the optimizer; -1 is 0.999"},
		{"weight_decay", coder.SAE, &c.WeightDecay, within(&c.WeightDecay, Auto, 1e3), "of adamw, sgd and adafactor; -1 is 0.01 for adamw, else 0"},
		{"ema", coder.SAE, &c.EMA, within(&c.EMA, 0, 1-1e-9), "what is evaluated and kept is the average of weights with this factor; 0 is the last weights"},
		{"cosine", coder.SAE, &c.Cosine, nil, "the learning rate falls along half a cosine"},
		{"data_init", coder.SAE, &c.DataInit, within(&c.DataInit, 0, 1), "share of a sample row in the first directions"},
		{"resample_steps", coder.SAE, &c.Resample, atLeast(&c.Resample, 0), "steps between resamplings of dead latents, in the first half of the training; 0 is never"},
		{"aux_k", coder.SAE, &c.AuxK, atLeast(&c.AuxK, Auto), "dead latents of the auxiliary loss; -1 is half the vector's length"},
		{"aux_coef", coder.SAE, &c.AuxCoef, within(&c.AuxCoef, 0, 1e3), "weight of the auxiliary loss"},
		{"dead_tokens", coder.SAE, &c.DeadTokens, atLeast(&c.DeadTokens, Auto), "rows without firing that make a latent dead; -1 is a tenth of the training, at most ten million"},
		{"scale", coder.SAE, &c.Scale, nil, "bring the vectors' mean square to 1 (folded into the weights at the end)"},
	}
}

// saeProblems checks values against each other.
func (c Config) saeProblems() (errs []error) {
	if _, err := sae.ParseArch(c.Arch); err != nil {
		errs = append(errs, fmt.Errorf("arch: %w", err))
	}
	if c.K > c.Width {
		errs = append(errs, fmt.Errorf("k is %d, but width is only %d", c.K, c.Width))
	}
	if c.Skip && c.Target == "" {
		errs = append(errs, errors.New("skip is for transcoders: set target"))
	}
	if c.Target != "" && len(c.Beside) > 0 {
		errs = append(errs, errors.New("target and beside do not go together"))
	}
	if _, err := optim.ParseName(c.Optimizer); err != nil {
		errs = append(errs, err)
	}
	if c.Sparsity != string(sae.L1) && !sae.Arch(c.Arch).TakesSparsity() {
		errs = append(errs, fmt.Errorf("sparsity %s is for arch relu", c.Sparsity))
	}
	return errs
}

// beside are the columns that stand behind a training's own in a row.
func (c Config) beside() []string {
	if c.Target != "" {
		return []string{c.Target}
	}
	return slices.Clone(c.Beside)
}

// resolveSAE replaces what the architecture and the data decide, for vectors of length d.
func (c *Config) resolveSAE(d int) {
	auto := func(v *float64, usual float64) {
		if *v == Auto {
			*v = usual
		}
	}
	arch, optimizer := sae.Arch(c.Arch).Defaults(d), optim.Default(optim.Name(c.Optimizer))
	auto(&c.Penalty, arch.Penalty)
	auto(&c.Rise, arch.Warmup)
	auto(&c.Band, arch.Bandwidth)
	auto(&c.Theta, arch.Theta)
	auto(&c.Beta1, optimizer.Beta1)
	auto(&c.Beta2, optimizer.Beta2)
	auto(&c.WeightDecay, optimizer.Decay)
	if c.AuxK == Auto || arch.AuxK == 0 {
		c.AuxK = arch.AuxK
	}
}

// learnerSAE is the config of a learner of rows whose vectors have these lengths.
func (c Config) learnerSAE(widths []int) (sae.Config, error) {
	steps := func(share float64) int { return int(share * float64(c.Steps)) }
	out := sae.Config{Arch: sae.Arch(c.Arch), Width: c.Width, K: c.K, AuxK: c.AuxK, AuxCoef: c.AuxCoef, DeadTokens: c.DeadTokens,
		Clip: c.Clip, Scale: c.Scale, Untied: !c.Tied, Steps: c.Steps, Seed: c.Seed,
		Penalty: c.Penalty, Warmup: steps(c.Rise), Sparsity: sae.Sparsity(c.Sparsity), GroupSize: c.GroupSize, PEnd: c.PEnd, PFrom: steps(c.PFrom),
		Bandwidth: c.Band, Theta: c.Theta, Preact: c.Preact, Prefixes: c.Groups, Sampled: c.Sampled,
		Optimizer: optim.Config{Name: optim.Name(c.Optimizer), Beta1: c.Beta1, Beta2: c.Beta2, Decay: c.WeightDecay}, EMA: c.EMA,
		DataInit: c.DataInit, Resample: c.Resample, Skip: c.Skip}
	length := 0
	for _, w := range widths {
		length += w
	}
	switch {
	case c.Target != "":
		out.Target = widths[len(widths)-1]
		length = out.Target
	case len(c.Beside) > 0:
		out.Parts = widths
	}
	var err error
	if c.Importance != "" {
		out.Importance, err = readImportance(c.Importance, length)
	}
	return out, err
}
