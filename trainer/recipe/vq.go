package recipe

import (
	"fmt"
	"math"

	"actfleet/trainer/vq"
)

// VQ is what an activation tokenizer is learned with. Its keys are documented by Keys.
type VQ struct {
	Arch                   string // vq.Arch
	Codes, Ids             int
	Levels                 []float64 // whole numbers
	Hidden, CodeWidth      int
	Loss                   string // vq.Loss
	Decay, Beta, DeadShare float64
	KMeansSteps            int
}

func defaultVQ() VQ {
	return VQ{Arch: string(vq.EMA), Codes: 512, Ids: Auto, Levels: []float64{8, 5, 5, 5}, Hidden: 256, CodeWidth: 64, Loss: string(vq.MSE),
		Decay: 0.95, Beta: 0.25, DeadShare: Auto, KMeansSteps: 60}
}

// fields lists the keys of tokenizers alone.
func (v *VQ) fields(l *Loop) []field {
	return []field{
		{"arch", &v.Arch, nil, vq.ArchNames()},
		{"codes", &v.Codes, size(&v.Codes, 2), "codes per codebook (values of an id); with fsq the product of levels"},
		{"ids", &v.Ids, size(&v.Ids, Auto), "ids per row: codebooks of residual and product, slices of iris and fsq; -1 is 1 for ema and gradient, else 4"},
		{"levels", &v.Levels, nil, "levels of each dimension of an fsq id"},
		{"hidden", &v.Hidden, size(&v.Hidden, 0), "units in the hidden layers of encoder and decoder, with iris and fsq; 0 makes them linear"},
		{"code_width", &v.CodeWidth, size(&v.CodeWidth, 1), "length of a code vector, with iris"},
		{"loss", &v.Loss, oneOf(&v.Loss, vq.Losses...), "reconstruction loss, with iris and fsq: mse; symlog, of sgn(x)·ln(1+|x|); two_hot, cross entropy over 255 bins of the same (255 times as many outputs)"},
		{"lr", &l.LR, within(&l.LR, 0, 1), "learning rate of Adam with gradient, iris and fsq; 0 is 2e-2 for gradient, else 5e-3"},
		{"decay", &v.Decay, within(&v.Decay, 1e-9, 1-1e-9), "decay of the moving averages of ema"},
		{"beta", &v.Beta, within(&v.Beta, 0, 1e3), "weight of the commitment loss, with iris; otherwise only part of the printed loss"},
		{"dead_share", &v.DeadShare, within(&v.DeadShare, Auto, 1), "a code used less than this fraction of the mean use is dead and is replaced; 0 is never; -1 is 0.1 for gradient, iris and fsq, else 0.01"},
		{"kmeans_steps", &v.KMeansSteps, atLeast(&v.KMeansSteps, 1), "k-means steps on init_rows before the first optimizer step"},
	}
}

// Learner is the config of a tokenizer's learner.
func (v VQ) Learner(l Loop, seed uint64) vq.Config {
	out := vq.Config{Arch: vq.Arch(v.Arch), Codes: v.Codes, Ids: v.Ids, Hidden: v.Hidden, Width: v.CodeWidth, Loss: vq.Loss(v.Loss),
		Decay: v.Decay, Beta: v.Beta, DeadShare: v.DeadShare, KMeansSteps: v.KMeansSteps, Clip: l.Clip, Batch: l.Batch, Seed: seed}
	for _, level := range v.Levels {
		out.Levels = append(out.Levels, int(level))
	}
	return out
}

// resolve replaces what the architecture decides.
func (v *VQ) resolve(l *Loop) {
	usual := vq.Arch(v.Arch).Defaults()
	if v.Ids == Auto {
		v.Ids = usual.Ids
	}
	if l.LR == 0 {
		l.LR = usual.LR
	}
	if v.DeadShare == Auto {
		v.DeadShare = usual.DeadShare
	}
	if dims, err := v.Learner(*l, 0).Dims(max(v.Ids, 1)); err == nil { // of codes only
		v.Codes = dims.Codes
	}
}

// problems checks values against each other.
func (v VQ) problems(l Loop) (errs []error) {
	if _, err := vq.ParseArch(v.Arch); err != nil {
		return []error{fmt.Errorf("arch: %w", err)}
	}
	for _, level := range v.Levels {
		if level != math.Trunc(level) || math.Abs(level) > 1<<30 {
			return []error{fmt.Errorf("levels: %v is not a whole number", level)}
		}
	}
	v.resolve(&l)
	c := v.Learner(l, 0)
	dims, err := c.Dims(max(v.Ids, 1)) // the vectors' length comes later
	if err != nil {
		return []error{err}
	}
	if need := c.MinSample(dims); l.InitRows < need {
		errs = append(errs, fmt.Errorf("init_rows is %d, must be at least %d for codes=%d", l.InitRows, need, dims.Codes))
	}
	return errs
}
