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
		Decay: 0.95, Beta: 0.25, DeadShare: 0.1, KMeansSteps: 5}
}

// fields lists the keys of tokenizers alone.
func (v *VQ) fields(l *Loop) []field {
	return []field{
		{"arch", &v.Arch, nil, "ema, gradient, residual, product, iris, fsq"},
		{"codes", &v.Codes, atLeast(&v.Codes, 2), "codes of a codebook (values of an id); with fsq the product of levels"},
		{"ids", &v.Ids, atLeast(&v.Ids, Auto), "ids per row: codebooks of residual and product, slices of iris and fsq; -1 is 1 for ema and gradient, else 4"},
		{"levels", &v.Levels, nil, "levels of each dimension of an fsq id"},
		{"hidden", &v.Hidden, atLeast(&v.Hidden, 0), "units in the hidden layers of encoder and decoder, with iris and fsq; 0 makes them linear"},
		{"code_width", &v.CodeWidth, atLeast(&v.CodeWidth, 1), "length of a code vector, with iris"},
		{"loss", &v.Loss, oneOf(&v.Loss, vq.Losses...), "reconstruction loss, with iris and fsq: mse; symlog, of sgn(x)·ln(1+|x|); two_hot, cross entropy over 255 bins of that (255 times the outputs)"},
		{"lr", &l.LR, within(&l.LR, 0, 1), "learning rate of Adam with gradient, iris and fsq; 0 is 2e-2 for gradient, else 5e-3"},
		{"decay", &v.Decay, within(&v.Decay, 1e-9, 1-1e-9), "decay of the moving averages of ema"},
		{"beta", &v.Beta, within(&v.Beta, 0, 1e3), "weight of the commitment loss, with iris; otherwise only part of the printed loss"},
		{"dead_share", &v.DeadShare, within(&v.DeadShare, 0, 1), "a code used less than this fraction of the mean use is dead and is replaced; 0 is never"},
		{"kmeans_steps", &v.KMeansSteps, atLeast(&v.KMeansSteps, 1), "k-means steps before the first optimizer step"},
	}
}

// VQLearner is the config of a tokenizer's learner.
func (r Recipe) VQLearner() vq.Config {
	out := vq.Config{Arch: vq.Arch(r.VQ.Arch), Codes: r.VQ.Codes, Ids: r.VQ.Ids, Hidden: r.VQ.Hidden, Width: r.VQ.CodeWidth, Loss: vq.Loss(r.VQ.Loss),
		Decay: r.VQ.Decay, Beta: r.VQ.Beta, Dead: r.VQ.DeadShare, Lloyd: r.VQ.KMeansSteps, Clip: r.Loop.Clip, Batch: r.Loop.Batch, Seed: r.Seed}
	for _, l := range r.VQ.Levels {
		out.Levels = append(out.Levels, int(l))
	}
	return out
}

// Ids of a row where several are usual, and the rates of Adam, unless a Config says
// otherwise. On the residual stream of the shipped model, 300 steps, 1e-2 was the best
// of 1e-3, 2e-3, 5e-3, 1e-2 and 2e-2 for networks, and 2e-2 far worse, so they get half
// of it; codebooks were within 1 % from 5e-3 to 5e-2.
const (
	usualIds     = 4
	codebookRate = 2e-2
	netRate      = 5e-3
)

// resolveVQ replaces what the kind of tokenizer decides.
func (r *Recipe) resolveVQ() {
	v := r.VQLearner()
	if r.VQ.Ids == Auto {
		r.VQ.Ids = usualIds
		if v.Arch.Single() {
			r.VQ.Ids = 1
		}
	}
	if v.Arch == vq.FSQ {
		r.VQ.Codes = 1
		for _, l := range r.VQ.Levels {
			r.VQ.Codes *= int(l)
		}
	}
	if r.Loop.LR == 0 && v.Arch.Descends() {
		r.Loop.LR = netRate
		if v.Arch == vq.Gradient {
			r.Loop.LR = codebookRate
		}
	}
}

// vqProblems checks a tokenizer's values against each other.
func (r Recipe) vqProblems() (errs []error) {
	v := r.VQLearner()
	if _, err := vq.ParseArch(r.VQ.Arch); err != nil {
		return []error{fmt.Errorf("arch: %w", err)}
	}
	for _, l := range r.VQ.Levels {
		if l != math.Trunc(l) || math.Abs(l) > 1<<30 {
			return []error{fmt.Errorf("levels: %v is not a whole number", l)}
		}
	}
	if v.Ids == Auto {
		r.resolveVQ()
		v = r.VQLearner()
	}
	if _, err := v.Dims(max(v.Ids, 1)); err != nil { // the vectors' length comes later
		errs = append(errs, err)
	}
	rows := r.Loop.InitRows
	if v.Arch == vq.IRIS {
		rows *= v.Ids
	}
	if v.Arch.Books() && rows < r.VQ.Codes {
		errs = append(errs, fmt.Errorf("init_rows is %d, must be at least codes, %d", r.Loop.InitRows, r.VQ.Codes))
	}
	return errs
}
